//! The calls of the API that reach the function.

bellwire_api::routes! {
    "GET" "/v1/clients" => List,
    "GET" "/v1/failing-endpoints" => Failing,
    "GET" "/v1/clients/{clientId}" => Show,
    "PUT" "/v1/clients/{clientId}" => Put,
    "PATCH" "/v1/clients/{clientId}" => Patch,
    "DELETE" "/v1/clients/{clientId}" => Delete,
    "POST" "/v1/clients/{clientId}/keys" => AddKey,
    "DELETE" "/v1/clients/{clientId}/keys/{keyId}" => RevokeKey,
    "POST" "/v1/clients/{clientId}/secret/rotate" => RotateSecret,
}

#[test]
fn every_call_of_the_template_has_a_route_and_every_route_a_call() {
    bellwire_template::compare_routes("Clients", Route::of, Route::ALL, &[]);
}
