//! The calls of the API that reach the function.

bellwire_api::routes! {
    under "/publishers/http-post", "/streams/publishers/http-post/api/v1";
    "POST" "/topics/{topicId}" => Publish,
    "POST" "/topics/{topicId}/batch" => PublishBatch,
}

#[test]
fn every_call_of_the_template_has_a_route_and_every_route_a_call() {
    bellwire_template::compare_routes("Publish", Route::of, Route::ALL, &[]);
}
