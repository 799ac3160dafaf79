//! Neither a spelling of a URL nor an answer of a name server leads to an address that the stack
//! doesn't allow.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::time::Duration;

use bellwire_outbound::{Failure, Limits};
use bytes::Bytes;
use http::HeaderMap;
use support::{Script, policy, sender};

/// What became of a request, without reaching a stranger: a connection that would be allowed ends
/// at once, because it has only a millisecond.
#[derive(Debug, PartialEq)]
enum Fate {
    RefusedAsWritten,
    RefusedAtConnection,
    Tried,
}

const IMPATIENT: Limits = Limits {
    connect: Duration::from_millis(1),
    exchange: Duration::from_millis(50),
    body: 0,
};

async fn fate(open: &str, url: &str, resolved: &[&[&str]]) -> Fate {
    let sender = sender(Script::new(resolved), policy(open), IMPATIENT);
    let exchange = sender.post(url, HeaderMap::new(), Bytes::new()).await;
    match exchange.outcome {
        Err(Failure::Url(_)) => Fate::RefusedAsWritten,
        Err(Failure::Address(_)) => Fate::RefusedAtConnection,
        Err(Failure::Connection(_) | Failure::Timeout(_)) => Fate::Tried,
        other => panic!("{url}: {other:?}"),
    }
}

#[tokio::test]
async fn addresses_in_urls() {
    for url in [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://127.0.1/",
        "http://0x7f000001/",
        "http://0x7f.0.0.1/",
        "http://2130706433/",
        "http://017700000001/",
        "http://0177.0.0.01/",
        "http://0/",
        "http://0.0.0.0/",
        "http://10.0.0.1/",
        "http://10.1/",
        "http://100.64.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "http://172.16.0.1/",
        "http://192.0.0.192/",
        "http://192.168.1.1/",
        "http://198.18.0.1/",
        "http://224.0.0.1/",
        "http://255.255.255.255/",
        "http://１２７.０.０.１/",
        "http://127。0。0。1/",
        "http://[::]/",
        "http://[::1]/",
        "http://[0:0:0:0:0:0:0:1]/",
        "http://[::127.0.0.1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://[::ffff:a9fe:a9fe]/",
        "http://[64:ff9b::169.254.169.254]/",
        "http://[2002:a9fe:a9fe::]/",
        "http://[2001:0:a9fe:a9fe::]/",
        "http://[fc00::1]/",
        "http://[fd00:ec2::254]/",
        "http://[fe80::1]/",
        "http://[ff02::1]/",
        "http://[2001:db8::1]/",
        "http://localhost/",
        "http://localhost./",
        "http://LOCALHOST/",
        "http://metadata.localhost/",
        "http://user@127.0.0.1/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
    ] {
        assert_eq!(fate("", url, &[]).await, Fate::RefusedAsWritten, "{url}");
    }
}

#[tokio::test]
async fn addresses_that_names_resolve_to() {
    let name = "http://example.com/";
    for resolved in [
        "127.0.0.1",
        "10.0.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "172.31.255.255",
        "192.168.0.1",
        "0.0.0.0",
        "::1",
        "::",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "fd00:ec2::254",
        "fe80::1",
        "ff02::1",
    ] {
        let at = fate("", name, &[&[resolved]]).await;
        assert_eq!(at, Fate::RefusedAtConnection, "{resolved}");
    }
    // Several addresses, none of them allowed; no address at all.
    let several: &[&str] = &["10.0.0.1", "::1", "169.254.169.254"];
    assert_eq!(fate("", name, &[several]).await, Fate::RefusedAtConnection);
    assert_eq!(fate("", name, &[&[]]).await, Fate::RefusedAtConnection);
}

#[tokio::test]
async fn of_several_addresses_only_allowed_ones_are_tried() {
    // Loopback is opened, so that the address that is tried is on this machine: at port 2, where
    // nothing listens.
    let url = "http://example.com:2/";
    let mixed: &[&str] = &["10.0.0.1", "127.0.0.1", "169.254.169.254"];
    let sender = sender(
        Script::new(&[mixed]),
        policy("127.0.0.0/8"),
        Limits::default(),
    );
    let exchange = sender.post(url, HeaderMap::new(), Bytes::new()).await;
    match exchange.outcome {
        Err(Failure::Connection(cause)) => assert!(cause.contains("refused"), "{cause}"),
        other => panic!("{other:?}"),
    }
    assert!(exchange.duration < Limits::default().connect);
}

#[tokio::test]
async fn a_name_that_changes_is_refused_at_its_next_connection() {
    let changing = Script::new(&[&["127.0.0.1"], &["10.0.0.1"]]);
    let sender = sender(changing, policy("127.0.0.0/8"), IMPATIENT);
    let url = "http://example.com:2/";
    let first = sender
        .post(url, HeaderMap::new(), Bytes::new())
        .await
        .outcome;
    assert!(matches!(first, Err(Failure::Connection(_))), "{first:?}");
    let second = sender
        .post(url, HeaderMap::new(), Bytes::new())
        .await
        .outcome;
    assert!(matches!(second, Err(Failure::Address(_))), "{second:?}");
}

#[tokio::test]
async fn an_opened_network_is_tried_and_no_other() {
    assert_eq!(
        fate("127.0.0.0/8", "http://127.0.0.1:2/", &[]).await,
        Fate::Tried
    );
    let name = "http://example.com:2/";
    assert_eq!(
        fate("127.0.0.0/8", name, &[&["127.0.0.1"]]).await,
        Fate::Tried
    );
    assert_eq!(
        fate("127.0.0.0/8", name, &[&["10.0.0.1"]]).await,
        Fate::RefusedAtConnection
    );
    assert_eq!(
        fate("127.0.0.0/8", "http://10.0.0.1/", &[]).await,
        Fate::RefusedAsWritten
    );
}
