//! The calls of the API that reach the function.

bellwire_api::routes! {
    "GET" "/openapi.json" => Document,
}

#[test]
fn every_call_of_the_template_has_a_route_and_every_route_a_call() {
    bellwire_template::compare_routes("Openapi", Route::of, Route::ALL, &crate::OTHERS);
}
