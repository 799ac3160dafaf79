//! `clients`: the clients of the API, `clients/new`, and `clients/{id}`: one with its keys.

use askama::Template;
use bellwire_web::api::Api;
use bellwire_web::form::once;
use bellwire_web::{
    Answer, Call, Form, Notice, Shell, Trouble, Visit, When, page, redirect, sentence, status_page,
};
use lambda_http::http::Method;
use serde::Deserialize;
use serde_json::json;

use crate::model::{Client, Items, Key};
use crate::{CLIENTS, done};

/// A client.
const ONE: &str = "/v1/clients/{clientId}";
/// How many a page has.
const PAGE: &str = "50";

#[derive(Template)]
#[template(path = "clients.html")]
struct ListPage {
    shell: Shell,
    id: String,
    rows: Vec<(Client, When)>,
    previous: Option<u32>,
    next: Option<u32>,
}

#[derive(Template)]
#[template(path = "client.html")]
struct ClientPage {
    shell: Shell,
    client: Client,
    created: When,
    once: String,
}

#[derive(Template)]
#[template(path = "new_client.html")]
struct NewPage {
    shell: Shell,
    id: String,
    name: String,
    labels: String,
}

/// Something that is shown once.
#[derive(Template)]
#[template(path = "once.html")]
struct OncePage {
    shell: Shell,
    what: &'static str,
    text: String,
    client_id: String,
}

/// The list; a client that is looked for by its id is led to.
pub async fn list<A: Api>(visit: &Visit<'_, A>) -> Answer {
    let query = visit.query();
    let id = query.get("id");
    let mut notice = done(visit);
    if !id.is_empty() {
        match visit
            .read::<Client>(Call::get(ONE).at("clientId", id))
            .await
        {
            Ok(client) => return redirect(&format!("clients/{}", client.client_id)),
            Err(Trouble::NotFound | Trouble::Refused(_)) => {
                notice = Some(Notice::error("There is no client with this id."));
            }
            Err(other) => return Err(other),
        }
    }
    let number: u32 = query.get("page").parse().unwrap_or(1).max(1);
    let call = Call::get("/v1/clients")
        .query("pageSize", PAGE)
        .query("page", number.to_string())
        .query("sort", "created_at,DESC");
    let found: Items<Client> = visit.read(call).await?;
    let rows = found.items.into_iter().map(|client| {
        let created = visit.when(client.created_at);
        (client, created)
    });
    page(&ListPage {
        shell: visit.shell("Clients").under(CLIENTS).with(notice),
        id: id.to_owned(),
        rows: rows.collect(),
        previous: (number > 1).then(|| number - 1),
        next: found.links.next.map(|_| number + 1),
    })
}

/// The form for a new client.
pub fn show_new<A: Api>(visit: &Visit<'_, A>) -> Answer {
    visit.token()?;
    page(&new_page(visit, &Form::default(), None))
}

/// Makes a client.
pub async fn send_new<A: Api>(visit: &Visit<'_, A>) -> Answer {
    let form = visit.form()?;
    let labels: Vec<&str> = form
        .get("labels")
        .split([',', ' ', '\n'])
        .map(str::trim)
        .collect();
    let labels: Vec<&str> = labels.into_iter().filter(|it| !it.is_empty()).collect();
    let mut body = json!({});
    if let Some(body) = body.as_object_mut() {
        if !form.get("name").is_empty() {
            body.insert("name".to_owned(), json!(form.get("name")));
        }
        if !labels.is_empty() {
            body.insert("labels".to_owned(), json!(labels));
        }
    }
    let call = Call::new(Method::PUT, ONE)
        .at("clientId", form.get("id"))
        .body(body);
    match visit.read::<Client>(call).await {
        Ok(client) => redirect(&format!("{}?done=made", client.client_id)),
        Err(Trouble::Refused(refusal)) => {
            let notice = Notice::error(sentence(&refusal.message));
            status_page(refusal.page_status(), &new_page(visit, &form, Some(notice)))
        }
        Err(other) => Err(other),
    }
}

fn new_page<A: Api>(visit: &Visit<'_, A>, form: &Form, notice: Option<Notice>) -> NewPage {
    NewPage {
        shell: visit.shell("New client").under(CLIENTS).with(notice),
        id: form.get("id").to_owned(),
        name: form.get("name").to_owned(),
        labels: form.get("labels").to_owned(),
    }
}

/// One client.
pub async fn show<A: Api>(visit: &Visit<'_, A>, id: &str) -> Answer {
    page(&shown(visit, id, done(visit)).await?)
}

/// What a form of the page asks for.
pub async fn send<A: Api>(visit: &Visit<'_, A>, id: &str, action: &str) -> Answer {
    let form = visit.form()?;
    let disable = |disabled: bool| {
        let call = Call::new(Method::PATCH, ONE).at("clientId", id);
        call.body(json!({ "disabled": disabled }))
    };
    let once_page = |title, what, text| {
        page(&OncePage {
            shell: visit.shell(title).under(CLIENTS),
            what,
            text,
            client_id: id.to_owned(),
        })
    };
    let answered = match action {
        "add-key" => {
            let name = match form.get("name") {
                "" => json!({}),
                name => json!({ "name": name }),
            };
            let call = Call::post("/v1/clients/{clientId}/keys").at("clientId", id);
            let made = visit
                .read::<Key>(call.body(name).once(form.get("once")))
                .await;
            made.and_then(|key| {
                let what = "Give it to the client: it is shown this once.";
                once_page("The new key", what, key.api_key.unwrap_or_default())
            })
        }
        "link" => {
            #[derive(Deserialize)]
            struct Link {
                url: String,
            }
            let call = Call::post("/v1/portal-links").body(json!({ "client_id": id }));
            let made = visit.read::<Link>(call).await;
            made.and_then(|link| {
                let what = "Whoever opens it within five minutes is signed in as this client. It works once.";
                once_page("A link to the console", what, console_url(visit, &link.url))
            })
        }
        "revoke" => {
            let call = Call::new(Method::DELETE, "/v1/clients/{clientId}/keys/{keyId}");
            let call = call.at("clientId", id).at("keyId", form.get("key"));
            went(visit, call, &format!("../{id}?done=revoked")).await
        }
        "disable" => went(visit, disable(true), &format!("../{id}?done=disabled")).await,
        "enable" => went(visit, disable(false), &format!("../{id}?done=enabled")).await,
        "delete" => {
            let call = Call::new(Method::DELETE, ONE).at("clientId", id);
            went(visit, call, "../../clients?done=deleted").await
        }
        _ => Err(Trouble::NotFound),
    };
    match answered {
        Err(Trouble::Refused(refusal)) => {
            let notice = Notice::error(sentence(&refusal.message));
            status_page(
                refusal.page_status(),
                &shown(visit, id, Some(notice)).await?,
            )
        }
        other => other,
    }
}

/// A call, and the page after it.
async fn went<A: Api>(visit: &Visit<'_, A>, call: Call, to: &str) -> Answer {
    visit.send(call).await?;
    redirect(to)
}

/// The address of a link as the browser can open it. The API knows of this call what the console has told it, and not under
/// which stage the console itself was called.
fn console_url<A: Api>(visit: &Visit<'_, A>, url: &str) -> String {
    let base = visit.base_url();
    match url.split_once("/console/link?") {
        Some((_, query)) => format!("{base}/console/link?{query}"),
        None => url.to_owned(),
    }
}

async fn shown<A: Api>(
    visit: &Visit<'_, A>,
    id: &str,
    notice: Option<Notice>,
) -> Result<ClientPage, Trouble> {
    let client: Client = visit.read(Call::get(ONE).at("clientId", id)).await?;
    Ok(ClientPage {
        shell: visit.shell(&client.name).under(CLIENTS).with(notice),
        created: visit.when(client.created_at),
        once: once(),
        client,
    })
}
