//! The calls of the API that reach the function.

bellwire_api::routes! {
    under "/subscribers/webhook", "/streams/subscribers/webhook/api/v1";
    "POST" "/topics/{topicId}/subscriptions" => Create,
    "GET" "/topics/{topicId}/subscriptions" => List,
    "GET" "/topics/{topicId}/document" => Document,
    "GET" "/subscriptions" => ListAll,
    "GET" "/subscriptions/{subscriptionId}" => Show,
    "PATCH" "/subscriptions/{subscriptionId}" => Patch,
    "DELETE" "/subscriptions/{subscriptionId}" => Delete,
    "POST" "/subscriptions/{subscriptionId}/test" => Test,
    "GET" "/subscriptions/{subscriptionId}/exchanges" => Exchanges,
    "GET" "/subscriptions/{subscriptionId}/deliveries" => Deliveries,
    "GET" "/subscriptions/{subscriptionId}/deliveries/{deliveryId}" => ShowDelivery,
    "GET" "/subscriptions/{subscriptionId}/deliveries/{deliveryId}/payload" => Payload,
    "POST" "/subscriptions/{subscriptionId}/deliveries/{deliveryId}/resend" => Resend,
    "POST" "/subscriptions/{subscriptionId}/secret/rotate" => RotateSecret,
    "POST" "/subscriptions/{subscriptionId}/enable" => Enable,
    "POST" "/subscriptions/{subscriptionId}/disable" => Disable,
    "POST" "/subscriptions/{subscriptionId}/replay" => Replay,
    "GET" "/subscriptions/{subscriptionId}/stats" => Stats,
    beside;
    "GET" "/v1/stats" => StatsOfClient,
}

#[test]
fn every_call_of_the_template_has_a_route_and_every_route_a_call() {
    bellwire_template::compare_routes("WebhookSubscriptions", Route::of, Route::ALL, &[]);
}
