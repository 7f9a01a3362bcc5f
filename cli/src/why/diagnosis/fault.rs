//! The words of a verdict. A word is never renamed: scripts go by it (docs/reference/why.md).

macro_rules! faults {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $whose:ident;)+) => {
        /// What a request failed of.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(crate) enum Fault { $($(#[doc = $doc])+ $variant,)+ }

        impl Fault {
            /// Every one, in the order of the documentation.
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// As written.
            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// Whose it is.
            pub(crate) fn whose(self) -> Whose {
                match self { $(Self::$variant => Whose::$whose),+ }
            }

            /// For the documentation.
            #[cfg(test)]
            pub(crate) fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+)),+ }
            }
        }
    };
}

faults! {
    /// Nothing is wrong.
    Nothing = "nothing", Nobody;
    /// The request did not fail; it took long.
    Slow = "slow", Application;
    /// The application answered with a failure of its own.
    ApplicationError = "application-error", Application;
    /// The receiving sidecar could not connect to its application.
    ApplicationRefused = "application-refused", Application;
    /// The application broke the connection off before its answer was complete.
    ApplicationReset = "application-reset", Application;
    /// One attempt took longer than it may.
    TryTimeout = "try-timeout", Application;
    /// The request with all attempts took longer than it may.
    RequestTimeout = "request-timeout", Application;
    /// It failed and would have been tried again, had the budget or the limit of retries not been spent.
    RetryBudgetEmpty = "retry-budget-empty", Application;
    /// Every endpoint is left out because it kept failing.
    AllEjected = "all-ejected", Application;
    /// The Service selects no workload.
    NoEndpoints = "no-endpoints", Configuration;
    /// The Service, or whoever calls it, names a port that is none.
    WrongPort = "wrong-port", Configuration;
    /// No rule of the routes on that port matches.
    NoRoute = "no-route", Configuration;
    /// The rule sends to a backend that does not exist or may not be used.
    BackendMissing = "backend-missing", Configuration;
    /// A limit on what may be under way to the Service is reached.
    LimitReached = "limit-reached", Configuration;
    /// A policy forbids it.
    Denied = "denied", Configuration;
    /// An identity or certificate is on the mesh's deny list.
    OnDenyList = "on-deny-list", Configuration;
    /// The port takes mutual TLS only, and the caller came without.
    PlaintextRefused = "plaintext-refused", Configuration;
    /// The application does not speak what its port is declared to carry.
    ProtocolMismatch = "protocol-mismatch", Configuration;
    /// The caller sent more requests than a limit of the receiver allows.
    RateLimited = "rate-limited", Caller;
    /// The request is malformed, or asks for what is not given.
    BadRequest = "bad-request", Caller;
    /// The caller went away before the answer was complete.
    CallerLeft = "caller-left", Caller;
    /// A certificate has expired, or is not valid yet.
    CertificateExpired = "certificate-expired", Mesh;
    /// A certificate is signed by nobody who is believed.
    UntrustedRoot = "untrusted-root", Mesh;
    /// Whoever answered is not who was called.
    WrongIdentity = "wrong-identity", Mesh;
    /// The handshake failed in another way.
    HandshakeFailed = "handshake-failed", Mesh;
    /// A sidecar went by a configuration that is not the present one.
    StaleConfiguration = "stale-configuration", Mesh;
    /// A sidecar has no configuration for the Service yet.
    NotConfigured = "not-configured", Mesh;
    /// The other sidecar, or its machine, cannot be reached.
    Unreachable = "unreachable", Mesh;
    /// A sidecar has too little memory left.
    OutOfMemory = "out-of-memory", Mesh;
    /// Something failed inside a sidecar that should not.
    Internal = "internal", Mesh;
}

/// Who has to do something about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Whose {
    /// Nothing is to be done.
    Nobody,
    /// Who answers for the application that was called.
    Application,
    /// Who wrote the objects.
    Configuration,
    /// Who answers for the application that called.
    Caller,
    /// Who runs the mesh.
    Mesh,
}

impl Whose {
    /// As written.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Application => "application",
            Self::Configuration => "configuration",
            Self::Caller => "caller",
            Self::Mesh => "mesh",
        }
    }

    /// In a sentence.
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::Nobody => "nobody's fault",
            Self::Application => "the called application's fault, not the mesh's",
            Self::Configuration => "the configuration's fault",
            Self::Caller => "the caller's fault",
            Self::Mesh => "the mesh's fault",
        }
    }
}
