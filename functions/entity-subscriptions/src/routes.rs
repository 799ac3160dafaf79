//! The calls of the API that reach the function.

bellwire_api::routes! {
    "POST" "/subscriptions" => Create,
    "GET" "/subscriptions" => List,
    "DELETE" "/subscriptions" => DeleteOfEntity,
    "GET" "/subscriptions/{key}" => Show,
    "DELETE" "/subscriptions/{key}" => Delete,
    "GET" "/subscriptions/{key}/callbacks" => Callbacks,
    "POST" "/subscriptions/{key}/secret/rotate" => RotateSecret,
}

#[test]
fn every_call_of_the_template_has_a_route_and_every_route_a_call() {
    bellwire_template::compare_routes("EntitySubscriptions", Route::of, Route::ALL, &[]);
}
