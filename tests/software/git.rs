//! Git over HTTP: git-http-backend behind nginx and fcgiwrap, cloned from and pushed to.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use super::product::{Counted, Facts, Product, Server, Step, command, listening, shell, step};

pub(crate) struct Git;

const CONFIGURATION: &str = r"
daemon off;
pid HOME/pid;
error_log stderr warn;
worker_processes 1;
events {}
http {
    access_log off;
    client_body_temp_path HOME/body;
    proxy_temp_path HOME/proxy;
    fastcgi_temp_path HOME/fastcgi;
    uwsgi_temp_path HOME/uwsgi;
    scgi_temp_path HOME/scgi;
    client_max_body_size 64m;
    server {
        listen 0.0.0.0:8080;
        listen [::]:8080;
        location / {
            fastcgi_pass unix:HOME/fcgi;
            include /etc/nginx/fastcgi_params;
            fastcgi_param SCRIPT_FILENAME /usr/lib/git-core/git-http-backend;
            fastcgi_param GIT_PROJECT_ROOT HOME;
            fastcgi_param GIT_HTTP_EXPORT_ALL yes;
            fastcgi_param PATH_INFO $uri;
        }
    }
}
";

const REPOSITORY: &str = r#"
git init -q --bare -b main "$1/shop.git"
git -C "$1/shop.git" config http.receivepack true
"#;

/// 3 MiB that cannot be packed are pushed, so that Git sends them in chunks, and cloned again.
const PUSH: &str = r#"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export GIT_CONFIG_GLOBAL=/dev/null GIT_TERMINAL_PROMPT=0
git clone -q "$1/shop.git" "$work/one" 2>&1
cd "$work/one"
git checkout -q -B main
head -c 3M /dev/urandom >much
git add much
git -c user.name=app -c user.email=app@plain.test commit -q -m much
git push -q origin main
git clone -q "$1/shop.git" "$work/two"
cmp much "$work/two/much" && echo "the same"
"#;

impl Product for Git {
    fn facts(&self) -> Facts {
        Facts {
            name: "git",
            needs: &[
                ("nginx", "nginx"),
                ("fcgiwrap", "fcgiwrap"),
                ("git", "git"),
                ("/usr/lib/git-core/git-http-backend", "git"),
            ],
            user: "www-data",
            port: 8080,
            protocol: "http",
            counted: Counted::Requests,
            words: &["service=git-upload-pack", "refs/heads/main"],
        }
    }

    fn server(&self, home: &Path) -> Server {
        let home_text = home.display().to_string();
        let file = home.join("nginx.conf");
        fs::write(&file, CONFIGURATION.replace("HOME", &home_text)).expect("the home is there");
        Server {
            before: vec![shell(REPOSITORY, &[&home_text])],
            start: vec![
                command(&["fcgiwrap", "-f", "-s", &format!("unix:{home_text}/fcgi")]),
                command(&["nginx", "-e", "stderr", "-c", &file.display().to_string()]),
            ],
            ready: listening(8080),
        }
    }

    fn client(&self, at: SocketAddr) -> Vec<Step> {
        vec![step(shell(PUSH, &[&format!("http://{at}")]), &["the same"])]
    }
}
