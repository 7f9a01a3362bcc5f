//! The one table of finding codes. Codes are stable: a code is never reused and never changes its meaning,
//! because people write them into suppressions and search for them. The documentation is made from here.

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Something that was asked for is not in force.
    Error,
    /// In force, but probably not what was meant.
    Warning,
    /// Worth knowing.
    Info,
}

impl Severity {
    /// `error`, `warning` or `info`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What documentation and output say of a code.
#[derive(Clone, Copy, Debug)]
pub struct CodeInfo {
    /// The code that this is about.
    pub code: Code,
    /// `WEFT0101`.
    pub id: &'static str,
    /// Severity of every finding with this code.
    pub severity: Severity,
    /// What it means, in a few words.
    pub title: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

/// Declares the enum and its table from one list, so that a code cannot lack its text.
macro_rules! codes {
    ($($name:ident $id:literal $severity:ident $title:literal $remedy:literal)*) => {
        /// Every kind of finding. 01xx references, 02xx files and objects, 03xx routes and policies,
        /// 04xx services and workloads, 05xx certificates.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $title] $name,)*
        }

        impl Code {
            /// The table, in order of the codes.
            pub const ALL: &'static [CodeInfo] = &[$(CodeInfo {
                code: Code::$name,
                id: $id,
                severity: Severity::$severity,
                title: $title,
                remedy: $remedy,
            },)*];
        }
    };
}

codes! {
    BackendNotFound "WEFT0101" Error "A backendRef names a Service that does not exist"
        "correct the name or namespace, or add the Service; until then this backend's share of the traffic is answered with 500 (gRPC: UNAVAILABLE)"
    BackendPortNotFound "WEFT0102" Error "A backendRef names a port that the Service does not have"
        "use one of the Service's ports; until then this backend's share of the traffic is answered with 500 (gRPC: UNAVAILABLE)"
    InvalidKind "WEFT0103" Error "A reference is not to a Service"
        "refer to a Service (group \"\", kind Service)"
    ParentNotFound "WEFT0104" Error "A parentRef names a Service that does not exist"
        "correct the name or namespace, or add the Service; until then the route has no effect there"
    ParentPortNotFound "WEFT0105" Error "A parentRef names a port that the Service does not have"
        "use one of the Service's ports, or leave the port out to attach to all of them"
    TargetNotFound "WEFT0106" Error "A targetRef names something that does not exist"
        "correct the name, namespace or sectionName, or add what is meant; until then the policy has no effect there"

    FileUnreadable "WEFT0201" Error "A file or folder cannot be read"
        "check that it exists, is UTF-8 text, and may be read by the control plane's user"
    FileTooLarge "WEFT0202" Error "A file is larger than 4 MiB"
        "split it into several files"
    TooMany "WEFT0203" Error "There are too many files or documents"
        "split the configuration or remove what is not needed; what is beyond the bound is not read"
    InvalidYaml "WEFT0204" Error "A document is not YAML"
        "correct the syntax at this line"
    InvalidObject "WEFT0205" Error "An object does not follow its schema"
        "correct the field"
    UnsupportedValue "WEFT0206" Error "An object asks for something that Weft does not support"
        "remove the field; nothing of the object is applied while it asks for it"
    DuplicateObject "WEFT0207" Error "An object is written twice"
        "keep one; the first by file path, then by line, is in force"
    KindIgnored "WEFT0208" Info "An object is of a kind that Weft does not read"
        "nothing to do"
    FieldIgnored "WEFT0209" Warning "A field is not used by Weft"
        "remove the field, or know that it has no effect here"

    Conflicted "WEFT0301" Error "Another policy for the same target is in force"
        "keep one policy per target; the older wins, then the one whose namespace/name comes first"
    RouteOnTcpPort "WEFT0302" Warning "A route is attached to a port that does not carry HTTP"
        "set appProtocol: http on the Service's port, or attach the route to another port"
    UnreachableRule "WEFT0303" Warning "A rule can never match"
        "remove it, or change the match that comes before it"
    NoTraffic "WEFT0304" Warning "No backend of a rule gets traffic"
        "give at least one backend a weight above 0; until then the rule answers 500"
    ConfigIgnored "WEFT0305" Error "A MeshConfig is not the one in force"
        "write the mesh's settings into the MeshConfig named default in namespace weft-system"
    PolicyWithoutEffect "WEFT0306" Warning "A policy selects nothing"
        "correct the namespace, the labels or the ports"
    RouteConflicted "WEFT0307" Error "A route of another kind is in force on the same port"
        "on one port only one kind of route counts, GRPCRoutes before HTTPRoutes; write both as one kind, or use two ports"
    RateLimitOnTcpPort "WEFT0308" Warning "A rate limit is set for a port that does not carry HTTP"
        "set appProtocol: http on the workload's port, or name other ports in the policy; what is limited is requests"
    PolicyNotEnforced "WEFT0309" Info "An InboundPolicy or AccessPolicy selects workloads without a sidecar"
        "nothing enforces it there; put a sidecar before them (meshed: true), or select others"
    RequestRuleOnTcpPort "WEFT0310" Warning "A rule about requests is for a port that does not carry HTTP"
        "set appProtocol: http on the workload's port, or leave methods, paths and headers out; of opaque bytes nothing is known: DENY denies them whatever it wants, ALLOW allows none"

    NoEndpoints "WEFT0401" Warning "A Service selects no workload"
        "correct the selector, or the labels of the workloads; until then its callers get 503"
    TargetPortNotFound "WEFT0402" Warning "A workload has no port of the targetPort's name"
        "name the workload's port so, or use a number as targetPort; until then the workload gets no traffic from this port"
    WorkloadNotSelected "WEFT0403" Info "No Service selects a workload"
        "nothing to do if it only calls others"
    AddressShared "WEFT0404" Error "Two workloads or two Services have the same address and port"
        "give each an address or port of its own"
    ServiceIncomplete "WEFT0405" Warning "A Service has no selector or no ports"
        "add spec.selector and spec.ports"
    ProtocolMismatch "WEFT0406" Warning "A Service and its workload declare different protocols for a port"
        "declare the same appProtocol on both"

    IssuerUnusable "WEFT0501" Error "An issuing CA from outside cannot be used"
        "correct the Secret or the files; until then the CA goes on with the last good one"
}

impl Code {
    /// Its row of the table.
    #[must_use]
    pub fn info(self) -> &'static CodeInfo {
        &Self::ALL[self as usize]
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.info().id)
    }
}
