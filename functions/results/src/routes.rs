//! The calls of the API that reach the function.

bellwire_api::routes! {
    "GET" "/v1/results" => GetLinks,
    "POST" "/v1/results" => PostLinks,
    "GET" "/v1/scrollResults" => GetRows,
    "POST" "/v1/scrollResults" => PostRows,
}

#[test]
fn every_call_of_the_template_has_a_route_and_every_route_a_call() {
    bellwire_template::compare_routes("Results", Route::of, Route::ALL, &[]);
}
