package sigstoretest

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"time"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	prototrust "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// TrustedRoot is a trusted_root.json (media type
// application/vnd.dev.sigstore.trustedroot+json;version=0.1) with every
// authority and log of this instance, the same bytes each time.
func (s *Sigstore) TrustedRoot() []byte {
	from := timestamppb.New(s.ca.from)
	window := func() *protocommon.TimeRange { return &protocommon.TimeRange{Start: from} }
	root := &prototrust.TrustedRoot{
		MediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
		CertificateAuthorities: []*prototrust.CertificateAuthority{{
			Subject: &protocommon.DistinguishedName{Organization: "sigstoretest", CommonName: "root"},
			Uri:     s.fulcioURL, CertChain: chain(s.ca.intermediate, s.ca.root), ValidFor: window(),
		}},
		Ctlogs: []*prototrust.TransparencyLogInstance{{
			BaseUrl: s.fulcioURL, HashAlgorithm: protocommon.HashAlgorithm_SHA2_256, LogId: &protocommon.LogId{KeyId: s.ct.id[:]},
			PublicKey: publicKey(s.ct.der, protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256, window()),
		}},
	}
	for _, r := range s.rekor1 {
		id, err := hex.DecodeString(r.id)
		if err != nil {
			panic("sigstoretest: " + err.Error()) // it was encoded here
		}
		root.Tlogs = append(root.Tlogs, &prototrust.TransparencyLogInstance{
			BaseUrl: r.url, HashAlgorithm: protocommon.HashAlgorithm_SHA2_256, LogId: &protocommon.LogId{KeyId: id},
			PublicKey: publicKey(r.der, protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256, window()),
		})
	}
	for _, r := range s.rekor2 {
		root.Tlogs = append(root.Tlogs, &prototrust.TransparencyLogInstance{
			BaseUrl: r.url, HashAlgorithm: protocommon.HashAlgorithm_SHA2_256, LogId: &protocommon.LogId{KeyId: r.id},
			PublicKey: publicKey(r.der, protocommon.PublicKeyDetails_PKIX_ED25519, window()),
		})
	}
	for _, t := range s.tsas {
		root.TimestampAuthorities = append(root.TimestampAuthorities, &prototrust.CertificateAuthority{
			Subject: &protocommon.DistinguishedName{Organization: "sigstoretest", CommonName: t.leaf.Subject.CommonName},
			Uri:     t.url + tsaPath, CertChain: chain(t.leaf, t.root), ValidFor: window(),
		})
	}
	return compactJSON(root)
}

func chain(certs ...*x509.Certificate) *protocommon.X509CertificateChain {
	out := &protocommon.X509CertificateChain{}
	for _, c := range certs {
		out.Certificates = append(out.Certificates, &protocommon.X509Certificate{RawBytes: c.Raw})
	}
	return out
}

func publicKey(der []byte, details protocommon.PublicKeyDetails, window *protocommon.TimeRange) *protocommon.PublicKey {
	return &protocommon.PublicKey{RawBytes: der, KeyDetails: details, ValidFor: window}
}

// SigningConfig is a signing config v0.2 (media type
// application/vnd.dev.sigstore.signingconfig.v0.2+json) that names every service
// of this instance. Its selectors are ALL, so that a signature goes to every log
// of the highest supported version, and to every timestamp authority.
func (s *Sigstore) SigningConfig() []byte {
	from := s.ca.from
	config := &prototrust.SigningConfig{
		MediaType:       "application/vnd.dev.sigstore.signingconfig.v0.2+json",
		CaUrls:          []*prototrust.Service{service(s.fulcioURL, 1, "fulcio", from)},
		OidcUrls:        []*prototrust.Service{service(s.oidc.url, 1, "oidc", from)},
		RekorTlogConfig: &prototrust.ServiceConfiguration{Selector: prototrust.ServiceSelector_ALL},
		TsaConfig:       &prototrust.ServiceConfiguration{Selector: prototrust.ServiceSelector_ALL},
	}
	for _, r := range s.rekor1 {
		config.RekorTlogUrls = append(config.RekorTlogUrls, service(r.url, 1, r.url, from))
	}
	for _, r := range s.rekor2 {
		config.RekorTlogUrls = append(config.RekorTlogUrls, service(r.url, 2, r.url, from))
	}
	for _, t := range s.tsas {
		config.TsaUrls = append(config.TsaUrls, service(t.url+tsaPath, 1, t.url, from))
	}
	return compactJSON(config)
}

func service(url string, version uint32, operator string, from time.Time) *prototrust.Service {
	return &prototrust.Service{Url: url, MajorApiVersion: version, Operator: operator,
		ValidFor: &protocommon.TimeRange{Start: timestamppb.New(from)}}
}

// compactJSON writes a message without the white space that protojson varies.
func compactJSON(m proto.Message) []byte {
	raw, err := protojson.Marshal(m)
	if err != nil {
		panic("sigstoretest: " + err.Error()) // messages of our own making
	}
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		panic("sigstoretest: " + err.Error())
	}
	return b.Bytes()
}
