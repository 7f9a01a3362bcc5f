//! What `weft check` looks at in a cluster, gathered before anything is judged. Changes nothing: the one pod
//! that it asks for is a dry run.
//!
//! Each answer is taken for itself: who may not read Secrets is still told the rest.

use std::future::Future;

use futures_util::future::try_join_all;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment as Workload;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview};
use k8s_openapi::api::core::v1::{Namespace, Pod, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::api::{Api, ListParams, PostParams};
use serde_json::json;

use crate::admin::{BrokenTraces, Proxy};
use crate::args::ClusterArgs;
use crate::cluster::{self, INJECTED, NAMESPACE, Unanswered};
use crate::control_planes;
use crate::proxy_status;

const NAME: &str = "weft-control-plane";
/// One of the Gateway API's, which says of which release it is.
const HTTP_ROUTES: &str = "httproutes.gateway.networking.k8s.io";
/// The release that it is of.
const BUNDLE: &str = "gateway.networking.k8s.io/bundle-version";

/// What was asked, or why there is no answer.
pub(super) type Answer<T> = Result<T, String>;

/// Why nothing at all was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Away {
    /// It is not known which cluster is meant.
    Unknown(String),
    /// Nobody answers there, or nobody who can be believed.
    Silent(String),
    /// Whoever asks is not known there.
    Refused(String),
}

impl Away {
    fn why(&self) -> &str {
        match self {
            Self::Unknown(why) | Self::Silent(why) | Self::Refused(why) => why,
        }
    }
}

/// What was found.
#[derive(Clone, Debug)]
pub(super) struct Cluster {
    /// `1.33`, as major and minor.
    pub(super) version: Result<(u32, u32), Away>,
    /// Of what installing takes, what whoever asks may not do: `create namespaces`. Asked only where there is no Weft.
    pub(super) rights: Answer<Vec<String>>,
    /// Of Weft's kinds and the Gateway API's routes: those that are there.
    pub(super) definitions: Answer<Vec<CustomResourceDefinition>>,
    /// `None`: there is none.
    pub(super) deployment: Answer<Option<Deployment>>,
    /// The certificates in each webhook's `caBundle`; `None`: there is no webhook.
    pub(super) bundles: Answer<Option<Vec<String>>>,
    /// The authority of the webhook's certificate, from the Secret; `None`: there is no Secret.
    pub(super) authority: Answer<Option<String>>,
    /// Is the mesh's CA kept, in its Secret?
    pub(super) ca: Answer<bool>,
    /// What a pod that asks for a sidecar is given.
    pub(super) trial: Answer<bool>,
    pub(super) namespaces: Answer<Vec<Namespace>>,
    pub(super) pods: Answer<Vec<Pod>>,
    /// The sidecars, by what the replicas of the control plane know.
    pub(super) proxies: Answer<Vec<Proxy>>,
    /// Workloads that break traces, by the same; nothing where they cannot be asked.
    pub(super) broken_traces: Vec<BrokenTraces>,
}

/// The control plane's.
#[derive(Clone, Debug)]
pub(super) struct Deployment {
    pub(super) wanted: i32,
    pub(super) available: i32,
    /// By its label.
    pub(super) version: String,
}

/// Looks at everything.
pub(super) async fn gather(args: &ClusterArgs) -> Cluster {
    let client = match cluster::connect(args).await {
        Ok(client) => client,
        Err(error) => {
            let is_refusal =
                error.downcast_ref::<Unanswered>().is_some_and(|error| error.is_refusal);
            let away = if is_refusal { Away::Refused } else { Away::Unknown };
            return Cluster::away(away(format!("{error:#}")));
        }
    };
    let version = match version(&client).await {
        Ok(version) => version,
        // Every further question would wait for the same server.
        Err(away) => return Cluster::away(away),
    };
    let (definitions, deployment, bundles, authority, ca) = tokio::join!(
        definitions(&client),
        deployment(&client),
        bundles(&client),
        authority(&client),
        ca(&client)
    );
    // Nobody is there to answer for a webhook that is not there.
    let trial = match &bundles {
        Ok(None) => Ok(false),
        Ok(Some(_)) | Err(_) => trial(&client).await,
    };
    let rights = match (&deployment, &bundles) {
        (Ok(None), Ok(None)) => rights(&client).await,
        _ => Ok(Vec::new()),
    };
    let namespaces = Api::<Namespace>::all(client.clone());
    let (namespaces, pods, (proxies, broken_traces)) = tokio::join!(
        told(cluster::list(&namespaces, ListParams::default())),
        told(cluster::pods(&client)),
        proxies(&client)
    );
    Cluster {
        version: Ok(version),
        rights,
        definitions,
        deployment,
        bundles,
        authority,
        ca,
        trial,
        namespaces,
        pods,
        proxies,
        broken_traces,
    }
}

impl Cluster {
    /// One that says nothing.
    pub(super) fn away(away: Away) -> Self {
        let why = || away.why().to_owned();
        Self {
            definitions: Err(why()),
            rights: Err(why()),
            deployment: Err(why()),
            bundles: Err(why()),
            authority: Err(why()),
            ca: Err(why()),
            trial: Err(why()),
            namespaces: Err(why()),
            pods: Err(why()),
            proxies: Err(why()),
            broken_traces: Vec::new(),
            version: Err(away),
        }
    }
}

/// The sidecars, and which of them break traces. Each replica knows those that are connected to it.
async fn proxies(client: &Client) -> (Answer<Vec<Proxy>>, Vec<BrokenTraces>) {
    let replicas = match control_planes::ready(client.clone()).await {
        Ok(replicas) => replicas,
        Err(error) => return (Err(format!("{error:#}")), Vec::new()),
    };
    let (mut all, mut broken) = (Vec::new(), Vec::new());
    for replica in replicas {
        match replica.get::<Vec<Proxy>>("/v1/proxies").await {
            Ok(of_one) => all.extend(of_one),
            Err(error) => return (Err(error.to_string()), broken),
        }
        // One of an older version does not know.
        let of_one: Vec<BrokenTraces> = replica.get("/v1/traces/broken").await.unwrap_or_default();
        broken.extend(of_one);
    }
    let mut all = proxy_status::one_each(all);
    all.retain(|proxy| proxy.connected);
    (Ok(all), broken)
}

async fn told<T, E: Into<Unanswered>>(asked: impl Future<Output = Result<T, E>>) -> Answer<T> {
    asked.await.map_err(|error| error.into().to_string())
}

async fn version(client: &Client) -> Result<(u32, u32), Away> {
    let info = client.apiserver_version().await.map_err(|error| {
        let error = Unanswered::from(error);
        let away = if error.is_refusal { Away::Refused } else { Away::Silent };
        away(error.to_string())
    })?;
    // Some vendors write `29+`.
    let number = |text: &str| text.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().ok();
    match (number(&info.major), number(&info.minor)) {
        (Some(major), Some(minor)) => Ok((major, minor)),
        _ => {
            let said = format!("it says that it is version {}.{}", info.major, info.minor);
            Err(Away::Silent(said))
        }
    }
}

/// What installing takes: group, kind and namespace of what is made.
const INSTALLED: [(&str, &str, &str); 9] = [
    ("", "namespaces", ""),
    ("apiextensions.k8s.io", "customresourcedefinitions", ""),
    ("rbac.authorization.k8s.io", "clusterroles", ""),
    ("rbac.authorization.k8s.io", "clusterrolebindings", ""),
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations", ""),
    ("apps", "deployments", NAMESPACE),
    ("", "services", NAMESPACE),
    ("", "serviceaccounts", NAMESPACE),
    ("rbac.authorization.k8s.io", "roles", NAMESPACE),
];

async fn rights(client: &Client) -> Answer<Vec<String>> {
    let api = Api::<SelfSubjectAccessReview>::all(client.clone());
    let asked = INSTALLED.iter().map(|&(group, resource, namespace)| {
        let attributes = ResourceAttributes {
            group: Some(group.to_owned()),
            resource: Some(resource.to_owned()),
            namespace: Some(namespace.to_owned()),
            verb: Some("create".to_owned()),
            ..ResourceAttributes::default()
        };
        let mut review = SelfSubjectAccessReview::default();
        review.spec.resource_attributes = Some(attributes);
        let api = api.clone();
        async move {
            let answer = told(api.create(&PostParams::default(), &review)).await?;
            let may = answer.status.is_some_and(|status| status.allowed);
            Ok((!may).then(|| format!("create {resource}")))
        }
    });
    let all: Answer<Vec<Option<String>>> = try_join_all(asked).await;
    Ok(all?.into_iter().flatten().collect())
}

async fn definitions(client: &Client) -> Answer<Vec<CustomResourceDefinition>> {
    let api = Api::<CustomResourceDefinition>::all(client.clone());
    let mut names: Vec<String> = weft_control_plane::crd::all()
        .into_iter()
        .filter_map(|definition| definition.metadata.name)
        .collect();
    names.push(HTTP_ROUTES.to_owned());
    let mut found = Vec::new();
    for name in names {
        found.extend(told(api.get_opt(&name)).await?);
    }
    Ok(found)
}

/// The release of the Gateway API's definitions; `None` where there are none.
pub(super) fn gateway_api(definitions: &[CustomResourceDefinition]) -> Option<String> {
    let routes =
        definitions.iter().find(|found| found.metadata.name.as_deref() == Some(HTTP_ROUTES))?;
    let release = routes.metadata.annotations.as_ref().and_then(|notes| notes.get(BUNDLE));
    Some(release.cloned().unwrap_or_default())
}

async fn deployment(client: &Client) -> Answer<Option<Deployment>> {
    let api = Api::<Workload>::namespaced(client.clone(), NAMESPACE);
    let Some(found) = told(api.get_opt(NAME)).await? else { return Ok(None) };
    let labels = found.metadata.labels.unwrap_or_default();
    Ok(Some(Deployment {
        wanted: found.spec.and_then(|spec| spec.replicas).unwrap_or(1),
        available: found.status.and_then(|status| status.available_replicas).unwrap_or(0),
        version: labels.get("app.kubernetes.io/version").cloned().unwrap_or_default(),
    }))
}

async fn bundles(client: &Client) -> Answer<Option<Vec<String>>> {
    let api = Api::<MutatingWebhookConfiguration>::all(client.clone());
    let Some(found) = told(api.get_opt("weft-injector")).await? else { return Ok(None) };
    let webhooks = found.webhooks.unwrap_or_default();
    let bundle =
        |bytes: Option<Vec<u8>>| String::from_utf8(bytes.unwrap_or_default()).unwrap_or_default();
    Ok(Some(
        webhooks
            .into_iter()
            .map(|webhook| bundle(webhook.client_config.ca_bundle.map(|found| found.0)))
            .collect(),
    ))
}

async fn authority(client: &Client) -> Answer<Option<String>> {
    let api = Api::<Secret>::namespaced(client.clone(), NAMESPACE);
    let Some(found) = told(api.get_opt("weft-webhook")).await? else { return Ok(None) };
    let mut data = found.data.unwrap_or_default();
    Ok(data.remove("ca.crt").and_then(|bytes| String::from_utf8(bytes.0).ok()))
}

async fn ca(client: &Client) -> Answer<bool> {
    let api = Api::<Secret>::namespaced(client.clone(), NAMESPACE);
    Ok(told(api.get_opt("weft-ca")).await?.is_some())
}

/// Asks for a pod with a sidecar in a dry run: was it given one? This goes the whole way: API server, Service,
/// certificate, control plane.
async fn trial(client: &Client) -> Answer<bool> {
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "generateName": "weft-check-", "labels": { "weft.dev/inject": "enabled" } },
        "spec": { "containers": [{ "name": "app", "image": "weft.dev/weft:0.1.0" }] },
    });
    let pod: Pod = serde_json::from_value(pod).map_err(|error| error.to_string())?;
    let api = Api::<Pod>::namespaced(client.clone(), "default");
    let params = PostParams { dry_run: true, ..PostParams::default() };
    let made = told(api.create(&params, &pod)).await?;
    Ok(made.metadata.annotations.is_some_and(|notes| notes.contains_key(INJECTED)))
}
