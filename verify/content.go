package verify

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	sgverify "github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/verify/evidence"
)

func (e *entity) checkSignature(tm material) error {
	m := e.signature.MessageSignatureContent()
	if m == nil {
		if err := sgverify.VerifySignature(e.signature, e.content, tm); err != nil {
			return &Error{Reason: BadSignature, Detail: "envelope", Err: err}
		}
		return nil
	}
	// The signature is checked over the digest that the bundle names; bind
	// compares that digest with the artifact's.
	err := sgverify.VerifySignatureWithArtifactDigests(e.signature, e.content, tm,
		[]sgverify.ArtifactDigest{{Algorithm: messageAlgorithm(m), Digest: m.Digest()}})
	if err == nil {
		return nil
	}
	var pub any
	if c := e.content.Certificate(); c != nil {
		pub = c.PublicKey
	} else if tm.key != nil {
		pub = tm.key.Public
	}
	if _, pure := pub.(ed25519.PublicKey); pure {
		// Ed25519ph was tried. Pure Ed25519 signs the bytes themselves, and whether
		// it did cannot be told from a digest: anybody can write such a bundle.
		return &Error{Reason: BadSignature, Detail: "no Ed25519ph signature over the digest; pure Ed25519 over the artifact's bytes is not supported: sign a statement, or use ECDSA", Err: err}
	}
	return &Error{Reason: BadSignature, Detail: "message signature", Err: err}
}

// bind ties what was signed to the artifact.
func (e *entity) bind(artifact attest.DigestSet, facts *evidence.Facts) error {
	if m := e.signature.MessageSignatureContent(); m != nil {
		alg := messageAlgorithm(m)
		i := slices.IndexFunc(artifact.Strong(), func(d attest.Digest) bool { return d.Algorithm() == alg })
		if i < 0 {
			return fail(DigestNeeded, "a signature over %.32q: the artifact's bytes, or that digest of it, are needed", alg)
		}
		digest := artifact.Strong()[i]
		if got := hex.EncodeToString(m.Digest()); got != digest.Hex() {
			return fail(SubjectMismatch, "the signature is about %s:%.128s, and the artifact is %s", alg, got, digest)
		}
		facts.Message = digest
		return nil
	}
	env := e.signature.EnvelopeContent().RawEnvelope()
	if env.PayloadType != attest.PayloadType {
		return fail(PayloadType, "envelope of type %.128q, want %s", env.PayloadType, attest.PayloadType)
	}
	payload, err := env.DecodeB64Payload()
	if err != nil {
		return &Error{Reason: Malformed, Detail: "payload", Err: err}
	}
	st, err := attest.Parse(payload)
	if err != nil {
		return &Error{Reason: Malformed, Detail: "signed payload", Err: err}
	}
	switch b := st.Bind(artifact); b.Match {
	case attest.Equal:
	case attest.Unrelated:
		if !slices.ContainsFunc(st.Subjects(), func(s attest.Subject) bool { return len(s.Digest.Strong()) > 0 }) {
			return fail(SubjectMismatch, "no subject of the statement has a strong digest, which alone can bind an artifact")
		}
		return fail(DigestNeeded, "the statement's subjects have no %s digest: the artifact's bytes, or another digest of it, are needed", algorithms(artifact))
	default:
		return fail(SubjectMismatch, "the statement is about %s, and the artifact is %s", describe(st.Subjects()), describeSet(artifact))
	}
	facts.Statement = st
	return nil
}

// messageAlgorithm is the digest algorithm of a message signature by our names.
func messageAlgorithm(m sgverify.MessageSignatureContent) string {
	return strings.ToLower(strings.Replace(m.DigestAlgorithm(), "SHA2_", "sha", 1))
}

func algorithms(s attest.DigestSet) string {
	var names []string
	for _, d := range s.Strong() {
		names = append(names, d.Algorithm())
	}
	return strings.Join(names, " or ")
}

func describe(subjects []attest.Subject) string {
	s := subjects[0]
	text := fmt.Sprintf("%.80q (%s)", s.Name, describeSet(s.Digest))
	if n := len(subjects); n > 1 {
		text += fmt.Sprintf(" and %d more", n-1)
	}
	return text
}

func describeSet(s attest.DigestSet) string {
	var parts []string
	for _, d := range s.Strong() {
		parts = append(parts, d.Algorithm()+":"+d.Hex()[:16]+"…")
	}
	if parts == nil {
		return "no strong digest"
	}
	return strings.Join(parts, " ")
}
