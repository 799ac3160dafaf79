//! The calls of the API that reach the function.

bellwire_api::routes! {
    "GET" "/v1/subscribe" => List,
    "POST" "/v1/subscribe" => Subscribe,
    "POST" "/v1/publish" => SendTest,
    "GET" "/v1/hello" => Hello,
}

#[test]
fn every_call_of_the_template_has_a_route_and_every_route_a_call() {
    bellwire_template::compare_routes("Subscribe", Route::of, Route::ALL, &[]);
}
