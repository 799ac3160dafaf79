//! The calls of the API that reach the function.

bellwire_api::routes! {
    "GET" "/v1/queries" => List,
    "POST" "/v1/queries" => RunOrRegister,
    "GET" "/v1/queries/{id}" => Show,
}

#[test]
fn every_call_of_the_template_has_a_route_and_every_route_a_call() {
    bellwire_template::compare_routes("Queries", Route::of, Route::ALL, &[]);
}
