//! The calls that the consoles make by invoking the function. API Gateway leads none of these paths here.

bellwire_api::routes! {
    "POST" "/sessions" => SignIn,
    "GET" "/sessions/current" => Show,
    "DELETE" "/sessions/current" => SignOut,
}

#[test]
fn no_path_of_the_template_is_one_of_them() {
    for path in bellwire_template::paths("Sessions") {
        assert_eq!(Route::methods(&path), Vec::<&str>::new(), "{path}");
    }
    assert_eq!(Route::ALL.len(), 3);
}
