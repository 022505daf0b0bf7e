package conf

var securityOptions = []described{
	KerberosKeytab, KerberosPrincipal, KerberosUseTicketCache, KerberosConfPath, SSLInternalEnabled, SSLRestEnabled,
	DelegationTokensEnabled,
}

// Kerberos and TLS.
var (
	KerberosKeytab = Option[string]{
		Key: "security.kerberos.login.keytab", Deprecated: []string{"security.keytab"}, typ: stringType, NoDefault: true, Planned: true,
		Doc: "Keytab of the principal. Only the ApplicationMaster gets it.",
	}
	KerberosPrincipal = Option[string]{
		Key: "security.kerberos.login.principal", Deprecated: []string{"security.principal"}, typ: stringType, NoDefault: true, Planned: true,
		Doc: "Principal that belongs to the keytab.",
	}
	KerberosUseTicketCache = Option[bool]{
		Key: "security.kerberos.login.use-ticket-cache", typ: boolType, Default: true, Planned: true,
		Doc: "Whether the ticket cache of the user (kinit) is used.",
	}
	KerberosConfPath = Option[string]{
		Key: "security.kerberos.krb5-conf.path", typ: stringType, NoDefault: true, Planned: true,
		Doc: "The krb5.conf to use; unset, KRB5_CONFIG, else the system's.",
	}
	SSLInternalEnabled = Option[bool]{
		Key: "security.ssl.internal.enabled", typ: boolType, Default: false, Planned: true,
		Doc: "Whether control and data connections between the processes of the application use mutual TLS. The certificates are made for each application.",
	}
	SSLRestEnabled = Option[bool]{
		Key: "security.ssl.rest.enabled", typ: boolType, Default: false, Planned: true,
		Doc: "Whether REST uses TLS.",
	}
	DelegationTokensEnabled = Option[bool]{
		Key: "security.delegation.tokens.enabled", typ: boolType, Default: true, Planned: true,
		Doc: "Whether delegation tokens are fetched and renewed on a cluster with Kerberos.",
	}
)
