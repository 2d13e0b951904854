use crate::modules::test::{check, mode, run};
use serde_json::json;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};

/// A server that answers a number of requests and gives back what it was asked: (head, body) each.
fn serve(answers: Vec<String>) -> (SocketAddr, std::thread::JoinHandle<Vec<(String, String)>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let thread = std::thread::spawn(move || {
        answers
            .into_iter()
            .map(|answer| {
                let (stream, _) = listener.accept().expect("a client");
                let mut reader = BufReader::new(stream);
                let (mut head, mut length) = (String::new(), 0);
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).expect("readable");
                    if line.trim().is_empty() {
                        break;
                    }
                    let lower = line.to_lowercase();
                    if let Some(value) = lower.strip_prefix("content-length:") {
                        length = value.trim().parse().expect("a number");
                    }
                    head.push_str(&line);
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).expect("readable");
                reader
                    .get_mut()
                    .write_all(answer.as_bytes())
                    .expect("written");
                (head, String::from_utf8(body).expect("text"))
            })
            .collect()
    });
    (address, thread)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}",
        body.len()
    )
}

#[test]
fn a_service_is_asked() {
    let (address, server) = serve(vec![
        answer(
            "200 OK",
            "Content-Type: application/json\r\nX-Some-Thing: 1\r\nSet-Cookie: a=b; Path=/\r\n",
            "{\"health\": \"true\"}",
        ),
        answer("201 Created", "", "made"),
        answer("503 Service Unavailable", "", "later"),
    ]);
    let url = format!("http://{address}/health");
    let done = run(
        "uri",
        json!({"url": url, "headers": {"X-Mine": "it's \"x\""}}),
    );
    assert!(!done.failed && !done.changed, "{done:?}");
    assert_eq!(
        (&done.data["status"], &done.data["json"]["health"]),
        (&json!(200), &json!("true"))
    );
    assert_eq!(
        (&done.data["x_some_thing"], &done.data["cookies"]["a"]),
        (&json!("1"), &json!("b"))
    );
    assert_eq!(done.data["msg"], "OK (18 bytes)");
    let done = run(
        "uri",
        json!({"url": url, "method": "POST", "body": {"a": 1}, "body_format": "json", "status_code": "200,201", "return_content": true, "user": "me", "password": "se\"cret"}),
    );
    assert_eq!(
        (&done.data["content"], &done.data["status"]),
        (&json!("made"), &json!(201))
    );
    let failed = run(
        "uri",
        json!({"url": url, "body": {"a b": ["ä", 2]}, "body_format": "form-urlencoded", "method": "PUT"}),
    );
    assert!(failed.failed && failed.data["status"] == 503, "{failed:?}");
    assert_eq!(
        failed.data["msg"],
        "Status code was 503 and not [200]: HTTP Error 503: Service Unavailable"
    );
    let asked = server.join().expect("it ends");
    assert!(
        asked[0].0.starts_with("GET /health") && asked[0].0.contains("X-Mine: it's \"x\""),
        "{asked:?}"
    );
    assert!(
        asked[1].0.contains("Content-Type: application/json")
            && asked[1].0.contains("Authorization: Basic bWU6c2UiY3JldA=="),
        "{asked:?}"
    );
    assert_eq!(
        (asked[1].1.as_str(), asked[2].1.as_str()),
        ("{\"a\":1}", "a+b=%C3%A4&a+b=2")
    );
}

#[test]
fn nobody_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    drop(listener);
    let failed = run("uri", json!({"url": url}));
    assert!(failed.failed && failed.data["status"] == -1, "{failed:?}");
    let dir = tempfile::tempdir().expect("a directory");
    let failed = run("get_url", json!({"url": url, "dest": dir.path().join("a")}));
    assert!(
        failed.failed && failed.data["status_code"] == -1,
        "{failed:?}"
    );
    assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 0);
}

#[test]
fn redirections_are_followed_when_safe() {
    let moved = answer("302 Found", "Location: /there\r\n", "");
    let (address, server) = serve(vec![moved.clone(), answer("200 OK", "", "x"), moved]);
    let url = format!("http://{address}/");
    let done = run("uri", json!({"url": url}));
    assert_eq!(
        (&done.data["redirected"], &done.data["url"]),
        (&json!(true), &json!(format!("{url}there")))
    );
    let done = run(
        "uri",
        json!({"url": url, "method": "POST", "body": "x", "status_code": 302}),
    );
    assert_eq!(
        (done.failed, &done.data["location"]),
        (false, &json!("/there"))
    );
    server.join().expect("it ends");
}

#[test]
fn a_file_is_downloaded_once() {
    let sum = "sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
    let (address, server) = serve(vec![
        answer("200 OK", "", ""),
        answer("200 OK", "", "x"),
        answer("200 OK", "", "x"),
        answer("200 OK", "", "y"),
        answer("404 Not Found", "", ""),
        answer(
            "200 OK",
            "Content-Disposition: attachment; filename=\"../named\"\r\n",
            "x",
        ),
    ]);
    let dir = tempfile::tempdir().expect("a directory");
    let dest = dir.path().join("a");
    let url = format!("http://{address}/d/a.bin?x=1");
    let args = json!({"url": url, "dest": dest, "mode": "0750", "checksum": sum});
    assert!(check("get_url", args.clone()).changed && !dest.exists());
    let done = run("get_url", args.clone());
    assert!(done.changed, "{done:?}");
    assert_eq!(
        (fs::read(&dest).expect("there"), mode(&dest)),
        (b"x".to_vec(), 0o750)
    );
    assert_eq!(
        (&done.data["status_code"], &done.data["msg"]),
        (&json!(200), &json!("OK (1 bytes)"))
    );
    let again = run("get_url", args.clone());
    assert!(!again.changed && !again.failed, "{again:?}");
    let forced = run("get_url", json!({"url": url, "dest": dest, "force": true}));
    assert!(!forced.changed && !forced.failed, "{forced:?}");
    fs::write(&dest, "old").expect("written");
    let wrong = run("get_url", args);
    assert!(
        wrong.failed
            && wrong.data["msg"]
                .as_str()
                .is_some_and(|said| said.contains("did not match")),
        "{wrong:?}"
    );
    assert_eq!(fs::read(&dest).expect("there"), b"old");
    let missing = run("get_url", json!({"url": url, "dest": dest, "force": true}));
    assert_eq!(
        (missing.failed, &missing.data["status_code"]),
        (true, &json!(404))
    );
    let named = run("get_url", json!({"url": url, "dest": dir.path()}));
    assert_eq!(named.data["dest"], json!(dir.path().join("named")));
    server.join().expect("it ends");
    assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 2);
}

#[test]
fn a_file_that_is_not_newer_stays() {
    let (address, server) = serve(vec![
        answer("304 Not Modified", "", ""),
        answer("200 OK", "", "new"),
    ]);
    let dir = tempfile::tempdir().expect("a directory");
    let dest = dir.path().join("a");
    fs::write(&dest, "old").expect("written");
    let args = json!({"url": format!("http://{address}/a"), "dest": dest});
    let done = run("get_url", args.clone());
    assert!(
        !done.changed && !done.failed && done.data["status_code"] == 304,
        "{done:?}"
    );
    assert!(run("get_url", args).changed);
    assert_eq!(fs::read(&dest).expect("there"), b"new");
    let asked = server.join().expect("it ends");
    assert!(asked[0].0.contains("If-Modified-Since: "), "{asked:?}");
}

#[test]
fn a_hash_is_found_in_a_list() {
    use super::get_url::find_hash;
    let list = "AA  other\nBB *./file\nCC  ./file.sig\n";
    assert_eq!(find_hash("ABC\n", "file").as_deref(), Some("abc"));
    assert_eq!(find_hash(list, "file.sig").as_deref(), Some("cc"));
    assert_eq!(find_hash(list, "none"), None);
}
