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
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	sgbundle "github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	sgverify "github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/attest/bundle"
	"github.com/hallmark-dev/hallmark/internal/strictjson"
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

// A logged entry remembers the log, whose key must be valid at the time that
// something else proves.
type logged struct {
	evidence.LogEntry
	log  *root.TransparencyLog
	time []root.Timestamp // of the SET
}

// v1Origin is the first line of a Rekor v1 checkpoint: "NAME - TREEID".
var v1Origin = regexp.MustCompile(`\A[^\n]* - [0-9]+\n`)

func (v *Verifier) checkLogs(e *entity, tm material) ([]logged, error) {
	var out []logged
	seen := make(map[string]bool)
	for i, entry := range e.entries {
		id := hex.EncodeToString([]byte(entry.LogKeyID()))
		key := fmt.Sprintf("%s/%d", id, entry.LogIndex())
		if seen[key] {
			return nil, fail(LogInvalid, "entry %d of log %s twice", entry.LogIndex(), id)
		}
		seen[key] = true
		log, ok := tm.RekorLogs()[id]
		if !ok {
			continue // of a log that this root does not know: it proves nothing
		}
		tle := entry.TransparencyLogEntry()
		kind := tle.GetKindVersion()
		// An entry in the format of Rekor v2 binds its content through the
		// hash in the tree, and one of Rekor v1 field by field. An entry of one
		// format under a checkpoint of the other would be bound by neither.
		origin := v1Origin.MatchString(tle.GetInclusionProof().GetCheckpoint().GetEnvelope())
		if entry.HasInclusionProof() && origin == entry.IsRekorV2() {
			return nil, fail(LogInvalid, "entry %d of %s: %s %s under a checkpoint of another kind of log", entry.LogIndex(), log.BaseURL, kind.GetKind(), kind.GetVersion())
		}
		err := checkKind(tle)
		if err == nil && entry.HasInclusionProof() {
			err = checkProof(tle)
		}
		if err != nil {
			return nil, &Error{Reason: LogInvalid, Detail: fmt.Sprintf("entry %d of %s", entry.LogIndex(), log.BaseURL), Err: err}
		}
		one := *e
		one.entries = e.entries[i : i+1]
		times, err := sgverify.VerifyTlogEntry(&one, tm, 1, true)
		if err != nil {
			return nil, &Error{Reason: LogInvalid, Detail: fmt.Sprintf("entry %d of %s", entry.LogIndex(), log.BaseURL), Err: err}
		}
		out = append(out, logged{evidence.LogEntry{LogID: id, Log: log.BaseURL, Index: entry.LogIndex(),
			Kind: kind.GetKind() + " " + kind.GetVersion(), Included: entry.HasInclusionProof()}, log, times})
	}
	if len(out) == 0 && len(tm.RekorLogs()) > 0 && !v.cfg.InsecureNoLog {
		return nil, fail(NotLogged, "no entry of a log that trust root %s knows, among %d", v.root.name, len(e.entries))
	}
	return out, nil
}

// checkKind compares what the bundle calls an entry with the entry itself.
func checkKind(tle *protorekor.TransparencyLogEntry) error {
	var body struct {
		Kind       string `json:"kind"`
		APIVersion string `json:"apiVersion"`
	}
	if err := strictjson.Decode(tle.GetCanonicalizedBody(), &body, maxBodyDepth); err != nil {
		return err
	}
	if kv := tle.GetKindVersion(); kv.GetKind() != body.Kind || kv.GetVersion() != body.APIVersion {
		return fmt.Errorf("called %.32q %.32q, and is %.32q %.32q", kv.GetKind(), kv.GetVersion(), body.Kind, body.APIVersion)
	}
	return nil
}

// maxBodyDepth bounds the canonical body of a log entry; real ones have 8 levels.
const maxBodyDepth = 32

// checkProof checks the parts of a proof that sigstore-go does not read: it goes
// by the checkpoint, and for Rekor v2 by an entry that it makes anew. A bundle
// in which they say something else is not what the log gave out.
func checkProof(tle *protorekor.TransparencyLogEntry) error {
	p := tle.GetInclusionProof()
	// C2SP tlog-checkpoint: origin, size and root, one on each line.
	lines := strings.SplitN(p.GetCheckpoint().GetEnvelope(), "\n", 4)
	if len(lines) != 4 || lines[1] != strconv.FormatInt(p.GetTreeSize(), 10) || lines[2] != base64.StdEncoding.EncodeToString(p.GetRootHash()) {
		return errors.New("the proof and its checkpoint are of different trees")
	}
	if p.GetLogIndex() < 0 || p.GetTreeSize() < 0 {
		return errors.New("negative index or size")
	}
	return proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(p.GetLogIndex()), uint64(p.GetTreeSize()),
		rfc6962.DefaultHasher.HashLeaf(tle.GetCanonicalizedBody()), p.GetHashes(), p.GetRootHash())
}

func (v *Verifier) checkTimes(e *entity, tm material, logs []logged) ([]evidence.Time, error) {
	var out []evidence.Time
	for _, l := range logs {
		for _, t := range l.time {
			out = append(out, evidence.Time{Kind: evidence.RekorSET, Time: t.Time.UTC(), Authority: l.Log})
		}
	}
	// Each token by itself: of several by one authority sigstore-go looks at the
	// first alone, and every verified time counts.
	var problems []error
	for i := range e.stamps {
		one := *e
		one.stamps = e.stamps[i : i+1]
		stamps, why, err := sgverify.VerifySignedTimestamp(&one, tm)
		if err != nil {
			return nil, &Error{Reason: Malformed, Detail: "timestamps", Err: err}
		}
		problems = append(problems, why...)
		for _, t := range stamps {
			at := evidence.Time{Kind: evidence.RFC3161, Time: t.Time.UTC(), Authority: t.URI}
			if !slices.Contains(out, at) {
				out = append(out, at)
			}
		}
	}
	if len(out) == 0 && e.content.Certificate() != nil {
		if given := e.stamps; len(given) > 0 {
			return nil, &Error{Reason: TimestampInvalid, Err: errors.Join(problems...),
				Detail: fmt.Sprintf("none of %d timestamps is by an authority of trust root %s over this signature", len(given), v.root.name)}
		}
		return nil, fail(NoTrustedTime, "a certificate needs a verified time: a timestamp, or a Rekor v1 promise. A Rekor v2 entry and an inclusion proof give none")
	}
	// A log's key must have been valid when it signed. A SET was compared with
	// its own time; a checkpoint has none, so the other times stand in.
	for _, l := range logs {
		if len(l.time) == 0 && len(out) == 0 && !l.log.ValidityPeriodEnd.IsZero() {
			return nil, fail(NoTrustedTime, "the key of %s was valid until %s, and nothing proves that it signed before", l.Log, l.log.ValidityPeriodEnd.UTC().Format(time.RFC3339))
		}
		for _, t := range out {
			if len(l.time) == 0 && (t.Time.Before(l.log.ValidityPeriodStart) || !l.log.ValidityPeriodEnd.IsZero() && t.Time.After(l.log.ValidityPeriodEnd)) {
				return nil, fail(LogInvalid, "signed at %s, when the key of %s was not valid", t.Time.Format(time.RFC3339), l.Log)
			}
		}
	}
	return out, nil
}

var sanOID = asn1.ObjectIdentifier{2, 5, 29, 17}

func (v *Verifier) checkCertificate(e *entity, tm material, times []evidence.Time) (*evidence.Certificate, error) {
	leaf := e.content.Certificate()
	if leaf.IsCA {
		return nil, fail(CertificateUntrusted, "the signing certificate is itself an authority")
	}
	if err := checkKey(leaf.PublicKey); err != nil {
		return nil, &Error{Reason: CertificateUntrusted, Detail: "signing certificate", Err: err}
	}
	summary, err := evidence.ReadUnverifiedCertificate(leaf)
	if err != nil {
		return nil, &Error{Reason: Malformed, Detail: "signing certificate", Err: err}
	}
	// crypto/x509 does not know Fulcio's OtherName; it was read above.
	leaf.UnhandledCriticalExtensions = slices.DeleteFunc(leaf.UnhandledCriticalExtensions, sanOID.Equal)

	// "If both are available, the Verifier performs path validation twice. If
	// either fails, verification fails."
	var chains [][]*x509.Certificate
	for _, t := range times {
		if t.Time.Before(leaf.NotBefore) || t.Time.After(leaf.NotAfter) {
			return nil, fail(CertificateExpired, "signed at %s by %s, outside the certificate's validity of %s to %s",
				t.Time.Format(time.RFC3339), t.Kind, leaf.NotBefore.UTC().Format(time.RFC3339), leaf.NotAfter.UTC().Format(time.RFC3339))
		}
		if chains, err = sgverify.VerifyLeafCertificate(t.Time, leaf, tm); err != nil {
			return nil, &Error{Reason: CertificateUntrusted, Err: err,
				Detail: fmt.Sprintf("no authority of trust root %s issued this certificate, or it was not valid at %s", v.root.name, t.Time.Format(time.RFC3339))}
		}
	}
	if len(chains) == 0 {
		return nil, fail(NoTrustedTime, "no time to check the certificate at")
	}
	if len(tm.CTLogs()) > 0 {
		if err := sgverify.VerifySignedCertificateTimestamp(chains, 1, tm); err != nil {
			return nil, &Error{Reason: SCTInvalid, Detail: "signing certificate", Err: err}
		}
	}
	return summary, nil
}

func checkKeyTime(key *trustedKey, times []evidence.Time) (*evidence.Key, error) {
	if len(times) == 0 && (!key.From.IsZero() || !key.Until.IsZero()) {
		return nil, fail(NoTrustedTime, "the key is valid for a limited time, and nothing proves when the signature was made")
	}
	for _, t := range times {
		if !key.validAt(t.Time) {
			return nil, fail(KeyExpired, "signed at %s, when the key was not valid", t.Time.Format(time.RFC3339))
		}
	}
	spki, err := attest.NewDigest(attest.SHA256, key.spki[:])
	if err != nil {
		return nil, err
	}
	return &evidence.Key{SPKI: spki}, nil
}

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
