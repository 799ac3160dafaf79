//! `bellwire subscriptions`: who is registered for what, and how that goes.

use anyhow::Context;
use bellwire_domain::client_id::ClientId;
use bellwire_domain::endpoint::DisabledReason;
use bellwire_domain::endpoint::authorization::AuthorizationView;
use bellwire_domain::entity::EntityKey;
use bellwire_domain::ids::{AudienceId, SubscriptionId, TopicId};
use bellwire_domain::timestamp::iso_serde;
use bellwire_domain::topic::modes::SubscriptionMode;
use bellwire_store::Subscription;
use clap::{Args, Subcommand};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;
use time::OffsetDateTime;

use crate::print::{Output, to_the_second, words};
use crate::progress;
use crate::tables::Tables;

/// How many subscriptions are read at once.
const AT_ONCE: usize = 16;

/// The commands.
#[derive(Subcommand)]
pub enum Command {
    /// List the subscriptions of a client, of a topic, or of a client to a topic, oldest first
    List(SubscriptionFilter),
    /// Show a subscription: where its deliveries go, and whether they do
    Show {
        /// The subscription's id
        id: String,
    },
}

/// The subscriptions that are listed.
#[derive(Args)]
#[group(required = true, multiple = true)]
pub struct SubscriptionFilter {
    /// Those of this client: its id, or the one that you gave it
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// Those to this topic: its id or name
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
}

/// A subscription as it is printed: without secrets.
#[derive(Serialize)]
struct SubscriptionView<'a> {
    subscription_id: &'a SubscriptionId,
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic_id: Option<&'a TopicId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<SubscriptionMode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entity_key: Option<&'a EntityKey>,
    url: &'a str,
    header_names: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization: Option<AuthorizationView<'a>>,
    state: &'static str,
    #[serde(with = "iso_serde::option")]
    disabled_at: Option<OffsetDateTime>,
    #[serde(with = "iso_serde::option")]
    failing_since: Option<OffsetDateTime>,
    #[serde(with = "iso_serde")]
    created_at: OffsetDateTime,
    #[serde(with = "iso_serde")]
    updated_at: OffsetDateTime,
}

impl<'a> From<&'a Subscription> for SubscriptionView<'a> {
    fn from(subscription: &'a Subscription) -> Self {
        let (webhook, topic) = (subscription.webhook(), subscription.topic());
        Self {
            subscription_id: &subscription.subscription_id,
            client_id: &subscription.client_id,
            topic_id: topic.map(|(id, _)| id),
            mode: topic.map(|(_, mode)| mode),
            entity_key: subscription.entity(),
            url: &webhook.url,
            header_names: webhook.headers.redacted().into_keys().collect(),
            authorization: webhook.authorization.as_ref().map(|it| it.redacted()),
            state: state(subscription),
            disabled_at: subscription.disabled.as_ref().map(|it| it.at),
            failing_since: subscription.failing_since,
            created_at: subscription.created_at,
            updated_at: subscription.updated_at,
        }
    }
}

/// Carries out a command on the stack of this name.
///
/// # Errors
/// When the tables can't be read, or what is named doesn't exist.
pub async fn run(command: Command, stack: &str, output: Output) -> anyhow::Result<()> {
    let tables = Tables::of(stack).await?;
    match command {
        Command::List(filter) => list(&tables, &filter, output).await,
        Command::Show { id } => show(&tables, &id, output).await,
    }
}

async fn list(tables: &Tables, filter: &SubscriptionFilter, output: Output) -> anyhow::Result<()> {
    let named = tables.named(filter.client.as_deref(), filter.topic.as_deref());
    let (client, topic) = named.await?;
    let mut found = found(tables, client.as_ref(), topic.as_ref())
        .await
        .context("the subscriptions could not be read")?;
    found.sort_by_key(|it| (it.created_at, it.subscription_id.clone()));
    let listed: Vec<SubscriptionView<'_>> = found.iter().map(SubscriptionView::from).collect();
    output.many(
        "subscriptions",
        &listed,
        &[
            "SUBSCRIPTION ID",
            "CLIENT",
            "FOR",
            "URL",
            "STATE",
            "CREATED",
        ],
        found.iter().map(|subscription| {
            vec![
                subscription.subscription_id.to_string(),
                subscription.client_id.clone(),
                source(subscription),
                subscription.webhook().url.clone(),
                state(subscription).to_owned(),
                to_the_second(subscription.created_at),
            ]
        }),
    )
}

async fn found(
    tables: &Tables,
    client: Option<&ClientId>,
    topic: Option<&TopicId>,
) -> anyhow::Result<Vec<Subscription>> {
    let subscriptions = &tables.subscriptions;
    match (client, topic) {
        (Some(client), Some(topic)) => Ok(subscriptions.list(client.as_str(), topic).await?),
        (Some(client), None) => Ok(subscriptions.of_client(client.as_str()).await?),
        (None, Some(topic)) => of_topic(tables, topic).await,
        (None, None) => Ok(Vec::new()),
    }
}

/// All subscriptions to a topic, by the members of its audience.
async fn of_topic(tables: &Tables, topic: &TopicId) -> anyhow::Result<Vec<Subscription>> {
    let audience = AudienceId::of_topic(topic);
    let mut members = Vec::new();
    for segment in tables.members.segments(topic).await?.numbers() {
        members.extend(tables.members.of(&audience, segment).await?);
    }
    let (bar, all) = (progress::bar("reading subscriptions"), members.len());
    let reads = members
        .into_iter()
        .map(|member| async move { tables.subscriptions.get(&member.subscription_id).await });
    let mut reads = stream::iter(reads).buffer_unordered(AT_ONCE);
    let (mut found, mut done) = (Vec::new(), 0);
    while let Some(read) = reads.try_next().await? {
        // One that was removed meanwhile is not there.
        found.extend(read);
        done += 1;
        progress::show(&bar, done, all);
    }
    bar.finish_and_clear();
    Ok(found)
}

async fn show(tables: &Tables, id: &str, output: Output) -> anyhow::Result<()> {
    let subscription = tables.subscription(id).await?;
    let listed = SubscriptionView::from(&subscription);
    let time = |time: Option<OffsetDateTime>| time.map(to_the_second).unwrap_or_default();
    let lines = [
        ("subscription id", listed.subscription_id.to_string()),
        ("client id", listed.client_id.to_owned()),
        ("for", source(&subscription)),
        ("mode", listed.mode.as_ref().map(words).unwrap_or_default()),
        ("url", listed.url.to_owned()),
        ("headers", listed.header_names.join(", ")),
        ("state", listed.state.to_owned()),
        ("disabled at", time(listed.disabled_at)),
        ("failing since", time(listed.failing_since)),
        ("created", to_the_second(listed.created_at)),
        ("changed", to_the_second(listed.updated_at)),
    ];
    output.lines(&listed, &lines)
}

/// What a subscription receives events of.
pub fn source(subscription: &Subscription) -> String {
    match (subscription.topic(), subscription.entity()) {
        (Some((topic_id, _)), _) => format!("topic {topic_id}"),
        (None, Some(entity)) => format!("entity {}", entity.as_str()),
        (None, None) => String::new(),
    }
}

/// Whether deliveries are sent, and why not.
fn state(subscription: &Subscription) -> &'static str {
    if subscription.ended_at.is_some() {
        return "topic deleted";
    }
    if subscription.client_disabled {
        return "client disabled";
    }
    match subscription.disabled.as_ref().map(|it| it.reason) {
        None => "active",
        Some(DisabledReason::Requested) => "disabled by its owner",
        Some(DisabledReason::Failing) => "disabled: failed for days",
        Some(DisabledReason::Gone) => "disabled: answered 410",
        Some(DisabledReason::Access) => "suspended: no access to the topic",
    }
}
