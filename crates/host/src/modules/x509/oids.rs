//! Names of object identifiers, as OpenSSL spells them.

/// Identifier, short name, long name of the parts of a subject.
pub(super) const SUBJECT: &[(&str, &str, &str)] = &[
    ("2.5.4.3", "CN", "commonName"),
    ("2.5.4.6", "C", "countryName"),
    ("2.5.4.7", "L", "localityName"),
    ("2.5.4.8", "ST", "stateOrProvinceName"),
    ("2.5.4.9", "street", "streetAddress"),
    ("2.5.4.10", "O", "organizationName"),
    ("2.5.4.11", "OU", "organizationalUnitName"),
    ("2.5.4.5", "serialNumber", "serialNumber"),
    ("2.5.4.4", "SN", "surname"),
    ("2.5.4.42", "GN", "givenName"),
    ("2.5.4.12", "title", "title"),
    ("2.5.4.17", "postalCode", "postalCode"),
    ("1.2.840.113549.1.9.1", "emailAddress", "emailAddress"),
    ("0.9.2342.19200300.100.1.25", "DC", "domainComponent"),
    ("0.9.2342.19200300.100.1.1", "UID", "userId"),
];

/// Identifier, names that are taken (the first is OpenSSL's short one), long name of purposes of a key.
pub(super) const PURPOSES: &[(&str, &str, &str)] = &[
    (
        "1.3.6.1.5.5.7.3.1",
        "serverAuth",
        "TLS Web Server Authentication",
    ),
    (
        "1.3.6.1.5.5.7.3.2",
        "clientAuth",
        "TLS Web Client Authentication",
    ),
    ("1.3.6.1.5.5.7.3.3", "codeSigning", "Code Signing"),
    ("1.3.6.1.5.5.7.3.4", "emailProtection", "E-mail Protection"),
    ("1.3.6.1.5.5.7.3.8", "timeStamping", "Time Stamping"),
    ("1.3.6.1.5.5.7.3.9", "OCSPSigning", "OCSP Signing"),
    (
        "2.5.29.37.0",
        "anyExtendedKeyUsage",
        "Any Extended Key Usage",
    ),
    ("1.3.6.1.5.5.7.3.5", "ipsecEndSystem", "IPSec End System"),
    ("1.3.6.1.5.5.7.3.6", "ipsecTunnel", "IPSec Tunnel"),
    ("1.3.6.1.5.5.7.3.7", "ipsecUser", "IPSec User"),
    (
        "1.3.6.1.5.5.7.3.17",
        "ipsecIKE",
        "ipsec Internet Key Exchange",
    ),
];

/// Bit, name that is taken, name that is told of the uses of a key.
pub(super) const USES: &[(u8, &str, &str)] = &[
    (0, "digitalSignature", "Digital Signature"),
    (1, "nonRepudiation", "Non Repudiation"),
    (2, "keyEncipherment", "Key Encipherment"),
    (3, "dataEncipherment", "Data Encipherment"),
    (4, "keyAgreement", "Key Agreement"),
    (5, "keyCertSign", "Certificate Sign"),
    (6, "cRLSign", "CRL Sign"),
    (7, "encipherOnly", "Encipher Only"),
    (8, "decipherOnly", "Decipher Only"),
];

/// Identifier, name, digest, of algorithms that sign.
pub(super) const SIGNATURES: &[(&str, &str, &str)] = &[
    ("1.2.840.113549.1.1.5", "sha1WithRSAEncryption", "sha1"),
    ("1.2.840.113549.1.1.14", "sha224WithRSAEncryption", "sha224"),
    ("1.2.840.113549.1.1.11", "sha256WithRSAEncryption", "sha256"),
    ("1.2.840.113549.1.1.12", "sha384WithRSAEncryption", "sha384"),
    ("1.2.840.113549.1.1.13", "sha512WithRSAEncryption", "sha512"),
    ("1.2.840.10045.4.1", "ecdsa-with-SHA1", "sha1"),
    ("1.2.840.10045.4.3.1", "ecdsa-with-SHA224", "sha224"),
    ("1.2.840.10045.4.3.2", "ecdsa-with-SHA256", "sha256"),
    ("1.2.840.10045.4.3.3", "ecdsa-with-SHA384", "sha384"),
    ("1.2.840.10045.4.3.4", "ecdsa-with-SHA512", "sha512"),
    ("1.3.101.112", "ED25519", ""),
    ("1.3.101.113", "ED448", ""),
];

/// Identifier, name, size in bits, OpenSSL's name of curves.
pub(super) const CURVES: &[(&str, &str, u32, &str)] = &[
    ("1.2.840.10045.3.1.1", "secp192r1", 192, "prime192v1"),
    ("1.3.132.0.33", "secp224r1", 224, "secp224r1"),
    ("1.3.132.0.10", "secp256k1", 256, "secp256k1"),
    ("1.2.840.10045.3.1.7", "secp256r1", 256, "prime256v1"),
    ("1.3.132.0.34", "secp384r1", 384, "secp384r1"),
    ("1.3.132.0.35", "secp521r1", 521, "secp521r1"),
    (
        "1.3.36.3.3.2.8.1.1.7",
        "brainpoolP256r1",
        256,
        "brainpoolP256r1",
    ),
    (
        "1.3.36.3.3.2.8.1.1.11",
        "brainpoolP384r1",
        384,
        "brainpoolP384r1",
    ),
    (
        "1.3.36.3.3.2.8.1.1.13",
        "brainpoolP512r1",
        512,
        "brainpoolP512r1",
    ),
    ("1.3.132.0.1", "sect163k1", 163, "sect163k1"),
    ("1.3.132.0.15", "sect163r2", 163, "sect163r2"),
    ("1.3.132.0.26", "sect233k1", 233, "sect233k1"),
    ("1.3.132.0.27", "sect233r1", 233, "sect233r1"),
    ("1.3.132.0.16", "sect283k1", 283, "sect283k1"),
    ("1.3.132.0.17", "sect283r1", 283, "sect283r1"),
    ("1.3.132.0.36", "sect409k1", 409, "sect409k1"),
    ("1.3.132.0.37", "sect409r1", 409, "sect409r1"),
    ("1.3.132.0.38", "sect571k1", 571, "sect571k1"),
    ("1.3.132.0.39", "sect571r1", 571, "sect571r1"),
];

pub(super) const SAN: &str = "2.5.29.17";
pub(super) const KEY_USAGE: &str = "2.5.29.15";
pub(super) const EXTENDED_KEY_USAGE: &str = "2.5.29.37";
pub(super) const BASIC_CONSTRAINTS: &str = "2.5.29.19";
pub(super) const TLS_FEATURE: &str = "1.3.6.1.5.5.7.1.24";
pub(super) const NAME_CONSTRAINTS: &str = "2.5.29.30";
pub(super) const SUBJECT_KEY: &str = "2.5.29.14";
pub(super) const AUTHORITY_KEY: &str = "2.5.29.35";
pub(super) const AUTHORITY_ACCESS: &str = "1.3.6.1.5.5.7.1.1";
pub(super) const EXTENSION_REQUEST: &str = "1.2.840.113549.1.9.14";

/// Identifier and name of extensions.
pub(super) const EXTENSIONS: &[(&str, &str)] = &[
    (SUBJECT_KEY, "subjectKeyIdentifier"),
    (KEY_USAGE, "keyUsage"),
    (SAN, "subjectAltName"),
    ("2.5.29.18", "issuerAltName"),
    (BASIC_CONSTRAINTS, "basicConstraints"),
    (NAME_CONSTRAINTS, "nameConstraints"),
    ("2.5.29.31", "crlDistributionPoints"),
    ("2.5.29.32", "certificatePolicies"),
    (AUTHORITY_KEY, "authorityKeyIdentifier"),
    ("2.5.29.36", "policyConstraints"),
    (EXTENDED_KEY_USAGE, "extendedKeyUsage"),
    ("2.5.29.54", "inhibitAnyPolicy"),
    (AUTHORITY_ACCESS, "authorityInfoAccess"),
    (TLS_FEATURE, "tlsfeature"),
    ("1.3.6.1.4.1.11129.2.4.2", "ct_precert_scts"),
];

/// The name of an algorithm that signs; what has none stays as numbers.
pub(super) fn signature(oid: &str) -> &str {
    let known = SIGNATURES.iter().find(|(known, ..)| *known == oid);
    known.map_or(oid, |(_, name, _)| name)
}
