package sign

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"time"

	sgbundle "github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	sgverify "github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/hallmark-dev/hallmark/attest/bundle"
)

// material is the trusted root, with the signer's own key.
type material struct {
	root.TrustedMaterial
	key crypto.PublicKey
	alg algorithm
}

func (m material) PublicKeyVerifier(string) (root.TimeConstrainedVerifier, error) {
	hash := m.alg.hash
	if hash == 0 {
		hash = crypto.SHA512 // not used by pure Ed25519
	}
	v, err := signature.LoadVerifier(m.key, hash)
	if err != nil {
		return nil, err
	}
	return root.NewExpiringKey(v, time.Time{}, time.Time{}), nil
}

// check verifies a finished bundle: every log and authority that was asked, the
// certificate, the signature, and that it is about what was to be signed.
func (s *Signer) check(b *bundle.Bundle, c content, key Key) error {
	sg := new(sgbundle.Bundle)
	if err := sg.UnmarshalJSON(b.Bytes()); err != nil {
		return err
	}
	alg, err := algorithmOf(key.Public())
	if err != nil {
		return err
	}
	tm := material{&root.BaseTrustedMaterial{}, key.Public(), alg}
	if s.tm != nil {
		tm.TrustedMaterial = s.tm
	}

	var opts []sgverify.VerifierOption
	logs, authorities := distinct(s.cfg.RekorV1, s.cfg.RekorV2), distinct(s.cfg.TSA)
	if logs > 0 {
		opts = append(opts, sgverify.WithTransparencyLog(logs))
	}
	switch {
	case authorities > 0:
		opts = append(opts, sgverify.WithSignedTimestamps(authorities))
	case s.cfg.Token != nil:
		opts = append(opts, sgverify.WithIntegratedTimestamps(1))
	default:
		opts = append(opts, sgverify.WithNoObserverTimestamps())
	}
	if s.cfg.Token != nil && len(tm.CTLogs()) > 0 {
		opts = append(opts, sgverify.WithSignedCertificateTimestamps(1))
	}
	v, err := sgverify.NewVerifier(tm, append(opts, sgverify.WithoutStatementPredicate())...)
	if err != nil {
		return err
	}
	artifact := sgverify.WithoutArtifactUnsafe() // the payload is compared below
	if m, ok := c.(*message); ok {
		artifact = sgverify.WithArtifactDigest(m.digest.Algorithm(), m.digest.Bytes())
	}
	if _, err := v.Verify(sg, sgverify.NewPolicy(artifact, sgverify.WithoutIdentitiesUnsafe())); err != nil {
		return err
	}
	if e, ok := c.(*envelope); ok && !bytes.Equal(sg.GetDsseEnvelope().GetPayload(), e.payload) {
		return errors.New("the envelope holds another payload")
	}
	if der := sg.GetVerificationMaterial().GetCertificate().GetRawBytes(); der != nil {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		if pub, ok := cert.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !pub.Equal(key.Public()) {
			return errors.New("the certificate is for another key")
		}
	}
	return nil
}
