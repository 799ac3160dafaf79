//! The calls of the API that reach the function.

bellwire_api::routes! {
    "POST" "/subscriptions" | "/v1/webhooks" => Create,
    "GET" "/subscriptions" | "/v1/webhooks" => List,
    "DELETE" "/subscriptions" | "/v1/webhooks" => DeleteOfEntity,
    "GET" "/subscriptions/{key}" | "/v1/webhooks/{key}" => Show,
    "DELETE" "/subscriptions/{key}" | "/v1/webhooks/{key}" => Delete,
    "GET" "/subscriptions/{key}/callbacks" | "/v1/webhooks/{key}/callbacks" => Callbacks,
    "GET" "/subscriptions/{key}/stats" | "/v1/webhooks/{key}/stats" => Stats,
    "GET" "/subscriptions/{key}/deliveries" | "/v1/webhooks/{key}/deliveries" => Deliveries,
    "GET" "/subscriptions/{key}/deliveries/{deliveryKey}" | "/v1/webhooks/{key}/deliveries/{deliveryKey}" => ShowDelivery,
    "POST" "/subscriptions/{key}/deliveries/{deliveryKey}/resend" | "/v1/webhooks/{key}/deliveries/{deliveryKey}/resend" => Resend,
    "POST" "/subscriptions/{key}/secret/rotate" | "/v1/webhooks/{key}/secret/rotate" => RotateSecret,
    "GET" "/webhook_callback_logs" | "/v1/webhook_callback_logs" => Logs,
}

#[test]
fn every_call_of_the_template_has_a_route_and_every_route_a_call() {
    bellwire_template::compare_routes("EntitySubscriptions", Route::of, Route::ALL, &[]);
}
