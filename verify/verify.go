// Package verify turns a Sigstore bundle and an artifact's digest into
// evidence: who signed what, when, and in which logs, under one trust root.
//
// It follows the Sigstore client specification, on sigstore-go. Start with
// [ParseTrustRoot], [KeyRoot] or [FetchTrustRoot], make a [Verifier], and call
// [Verifier.Verify]. There is no network, no file and no clock in Verify: the
// same bytes give the same answer for ever.
//
// Evidence is no "yes". Verify says that a signer signed, and package policy
// says whether that signer may.
//
// # What is trusted
//
// The attacker writes the bundle, the artifact and everything in them, and may
// run a registry or a mirror of a log. Trusted are the trust root, the digest
// that the caller computed from the artifact's own bytes, and this program.
// Each [Reason] names the attack that it stops.
//
// # Limitations
//
// There is no revocation check: a certificate lives for minutes, and a key is
// taken out of the trust root. A log that shows different trees to different
// people is not noticed here; that takes a witness. ECDSA keys on P-384 and
// P-521 sign with the hash of their size; older signatures made with SHA-256
// are refused.
package verify

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	sgbundle "github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	sgverify "github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/attest/bundle"
	"github.com/hallmark-dev/hallmark/verify/evidence"
)

// Config tunes a [Verifier]. The zero Config is the strict one: what the trust
// root contains decides what is required.
type Config struct {
	// InsecureNoLog accepts bundles without a transparency log entry under a
	// root that has logs. Entries of the root's logs are still checked. The
	// evidence shows that there is none, and a policy that does not say
	// "log: none" refuses it.
	InsecureNoLog bool
}

// A Verifier checks bundles under one trust root. It is immutable and safe
// for concurrent use. The zero Verifier refuses everything.
type Verifier struct {
	root *TrustRoot
	cfg  Config
}

// New makes a Verifier. It refuses a nil or zero root.
func New(r *TrustRoot, cfg Config) (*Verifier, error) {
	if r == nil || r.digest.IsZero() {
		return nil, errors.New("verify: no trust root: say whom to trust")
	}
	return &Verifier{root: r, cfg: cfg}, nil
}

// Verify checks everything about a bundle and binds it to the artifact, whose
// digests the caller has computed from its bytes. At least one strong digest is
// needed, and all that the bundle shares with the artifact must be equal.
//
// The error is an [*Error] with a stable reason. On error the evidence is zero.
func (v *Verifier) Verify(b *bundle.Bundle, artifact attest.DigestSet) (evidence.Evidence, error) {
	if v == nil || v.root == nil {
		return evidence.Evidence{}, fail(Misused, "the zero Verifier trusts nobody")
	}
	if b == nil || len(b.Bytes()) == 0 {
		return evidence.Evidence{}, fail(Malformed, "empty bundle")
	}
	if len(artifact.Strong()) == 0 {
		return evidence.Evidence{}, fail(NoArtifact, "no sha256, sha384 or sha512 digest of the artifact was given")
	}
	e, err := newEntity(b)
	if err != nil {
		return evidence.Evidence{}, err
	}
	if e.content.Certificate() != nil {
		return v.verifyUnder(b, e, nil, artifact)
	}
	return v.verifyWithKeys(b, e, artifact)
}

// verifyWithKeys tries the keys that the bundle's hint may mean. The hint
// selects and never trusts: one that names no key of the root leaves all of
// them to be tried.
func (v *Verifier) verifyWithKeys(b *bundle.Bundle, e *entity, artifact attest.DigestSet) (evidence.Evidence, error) {
	if len(v.root.keys) == 0 {
		return evidence.Evidence{}, fail(KeyUnknown, "signed with a key, and trust root %s has no keys", v.root.name)
	}
	hint := e.content.PublicKey().Hint()
	var named []trustedKey
	for _, k := range v.root.keys {
		if slices.Contains(k.hints, hint) {
			named = append(named, k)
		}
	}
	if named == nil {
		named = v.root.keys
	}
	why := fail(BadSignature, "")
	for i := range named {
		ev, err := v.verifyUnder(b, e, &named[i], artifact)
		if err == nil {
			return ev, nil
		}
		// The key that made the signature says more than all the others.
		if found := (*Error)(nil); errors.As(err, &found) && why.Reason == BadSignature {
			why = found
		}
	}
	if len(named) > 1 && why.Reason == BadSignature {
		return evidence.Evidence{}, fail(KeyUnknown, "none of the %d trusted keys made this signature", len(named))
	}
	return evidence.Evidence{}, why
}

func (v *Verifier) verifyUnder(b *bundle.Bundle, e *entity, key *trustedKey, artifact attest.DigestSet) (evidence.Evidence, error) {
	var base root.TrustedMaterial = &root.BaseTrustedMaterial{}
	if v.root.tm != nil {
		base = v.root.tm
	}
	tm := material{base, key, e.signature.MessageSignatureContent() != nil}
	facts := evidence.Facts{
		Bundle:   b.Digest(),
		Envelope: e.envelopeDigest(),
		Root: evidence.TrustRoot{Name: v.root.name, Digest: v.root.digest,
			HasLogs: len(tm.RekorLogs()) > 0, HasCT: len(tm.CTLogs()) > 0},
	}

	// The stages are those of the Sigstore client specification. All must
	// pass; "Signature Verification" comes first because it costs least and
	// says most about a changed bundle.
	if err := e.checkSignature(tm); err != nil {
		return evidence.Evidence{}, err
	}
	// "Transparency Log Entry", which may also give the time.
	logs, err := v.checkLogs(e, tm)
	if err != nil {
		return evidence.Evidence{}, err
	}
	// "Establishing a Time for the Signature".
	facts.Times, err = v.checkTimes(e, tm, logs)
	if err != nil {
		return evidence.Evidence{}, err
	}
	for _, l := range logs {
		facts.Logs = append(facts.Logs, l.LogEntry)
	}
	// "Certificate", or the key's own validity.
	if key == nil {
		facts.Signer.Certificate, err = v.checkCertificate(e, tm, facts.Times)
		facts.SCT = facts.Root.HasCT
	} else {
		facts.Signer.Key, err = checkKeyTime(key, facts.Times)
	}
	if err != nil {
		return evidence.Evidence{}, err
	}
	if err := e.bind(artifact, &facts); err != nil {
		return evidence.Evidence{}, err
	}
	return evidence.New(facts), nil
}

// An entity shows a bundle to sigstore-go with each part parsed once.
type entity struct {
	*sgbundle.Bundle
	entries   []*tlog.Entry
	stamps    [][]byte
	content   sgverify.VerificationContent
	signature sgverify.SignatureContent
}

func newEntity(b *bundle.Bundle) (*entity, error) {
	sg := new(sgbundle.Bundle)
	err := sg.UnmarshalJSON(b.Bytes())
	e := &entity{Bundle: sg}
	if err == nil {
		e.entries, err = sg.TlogEntries()
	}
	if err == nil {
		e.stamps, err = sg.Timestamps()
	}
	if err == nil {
		e.content, err = sg.VerificationContent()
	}
	if err == nil {
		e.signature, err = sg.SignatureContent()
	}
	if err == nil && (e.content.Certificate() == nil) == (e.content.PublicKey() == nil) {
		err = errors.New("neither certificate nor public key")
	}
	if err != nil {
		return nil, &Error{Reason: Malformed, Detail: "bundle", Err: err}
	}
	return e, nil
}

func (e *entity) TlogEntries() ([]*tlog.Entry, error) { return e.entries, nil }

func (e *entity) Timestamps() ([][]byte, error) { return e.stamps, nil }

func (e *entity) VerificationContent() (sgverify.VerificationContent, error) { return e.content, nil }

func (e *entity) SignatureContent() (sgverify.SignatureContent, error) { return e.signature, nil }

// envelopeDigest names the signed content and its signature.
func (e *entity) envelopeDigest() string {
	h := sha256.New()
	if env := e.signature.EnvelopeContent(); env != nil {
		payload, _ := env.RawEnvelope().DecodeB64Payload()
		h.Write(dsse.PAE(env.RawEnvelope().PayloadType, payload))
	} else {
		h.Write(e.signature.MessageSignatureContent().Digest())
	}
	h.Write([]byte{0})
	h.Write(e.signature.Signature())
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}
