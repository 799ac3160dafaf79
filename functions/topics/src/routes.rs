//! The calls of the API that reach the function.

bellwire_api::routes! {
    under "/streams/hub/api/v1", "";
    "GET" "/topics" => List,
    "POST" "/topics" => Create,
    "GET" "/topics/{topicId}" => Show,
    "PUT" "/topics/{topicId}" => Replace,
    "PATCH" "/topics/{topicId}" => Patch,
    "DELETE" "/topics/{topicId}" => Delete,
}

#[test]
fn every_call_of_the_template_has_a_route_and_every_route_a_call() {
    bellwire_template::compare_routes("Topics", Route::of, Route::ALL, &[]);
}
