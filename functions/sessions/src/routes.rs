//! The calls of the API that reach the function.

bellwire_api::routes! {
    "POST" "/v1/portal-links" => CreateLink,
}

#[test]
fn every_call_of_the_template_has_a_route_and_every_route_a_call() {
    bellwire_template::compare_routes("Sessions", Route::of, Route::ALL, &[]);
}
