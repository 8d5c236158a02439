package verify

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"

	sgverify "github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/verify/evidence"
)

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
