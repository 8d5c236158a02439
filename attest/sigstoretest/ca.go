package sigstoretest

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// An authority is Fulcio's: a root and an intermediate on P-384, as the public
// instance has them.
type authority struct {
	root, intermediate *x509.Certificate
	key                *signer
	keys               keyring
	from, until        time.Time
}

func newAuthority(keys keyring, from, until time.Time) (*authority, error) {
	rootKey := keys.ecdsa384("ca root")
	a := &authority{key: keys.ecdsa384("ca intermediate"), keys: keys, from: from, until: until}
	var err error
	a.root, err = issue(&x509.Certificate{
		SerialNumber: keys.serial("ca root"), Subject: pkix.Name{Organization: []string{"sigstoretest"}, CommonName: "root"},
		NotBefore: from, NotAfter: until, IsCA: true, BasicConstraintsValid: true, MaxPathLen: 1,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}, nil, rootKey.Public(), rootKey)
	if err != nil {
		return nil, err
	}
	a.intermediate, err = issue(&x509.Certificate{
		SerialNumber: keys.serial("ca intermediate"), Subject: pkix.Name{Organization: []string{"sigstoretest"}, CommonName: "intermediate"},
		NotBefore: from, NotAfter: until, IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}, a.root, a.key.Public(), rootKey)
	return a, err
}

func issue(template, parent *x509.Certificate, pub crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(nil, template, parent, pub, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

var (
	fulcioArc  = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1}
	sctListOID = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}
)

// leaf issues a signing certificate for an identity and embeds a certificate
// timestamp.
func (s *Sigstore) leaf(id identity, pub crypto.PublicKey) (*x509.Certificate, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, err
	}
	now := s.opts.Now().UTC().Truncate(time.Second)
	t := &x509.Certificate{
		SerialNumber: s.keys.serial(fmt.Sprintf("%x %v %d", der, id, now.Unix())),
		NotBefore:    now, NotAfter: now.Add(s.opts.ValidFor),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}
	id.apply(t)
	if s.opts.Certificate != nil {
		s.opts.Certificate(t)
	}
	pre, err := issue(t, s.ca.intermediate, pub, s.ca.key)
	if err != nil || s.opts.NoSCT {
		return pre, err
	}
	// RFC 6962, section 3.2: the timestamp is over the certificate without it.
	sct, err := s.ct.sign(pre, s.ca.intermediate, now)
	if err != nil {
		return nil, err
	}
	t.ExtraExtensions = append(t.ExtraExtensions, pkix.Extension{Id: sctListOID, Value: sct})
	return issue(t, s.ca.intermediate, pub, s.ca.key)
}

// A ctLog signs certificate timestamps (RFC 6962). It keeps no tree.
type ctLog struct {
	key *signer
	id  [sha256.Size]byte
	der []byte
}

func newCTLog(keys keyring) *ctLog {
	key := keys.ecdsa256("ct log")
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		panic("sigstoretest: " + err.Error()) // a P-256 key always marshals
	}
	return &ctLog{key, sha256.Sum256(der), der}
}

// sign returns the value of the SCT list extension for a precertificate.
func (l *ctLog) sign(pre, issuer *x509.Certificate, now time.Time) ([]byte, error) {
	millis := uint64(now.UnixMilli())
	issuerKey := sha256.Sum256(issuer.RawSubjectPublicKeyInfo)
	var in cryptobyte.Builder
	in.AddUint8(0) // v1
	in.AddUint8(0) // certificate_timestamp
	in.AddUint64(millis)
	in.AddUint16(1) // precert_entry
	in.AddBytes(issuerKey[:])
	in.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(pre.RawTBSCertificate) })
	in.AddUint16(0) // no extensions
	signed, err := in.Bytes()
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(signed)
	sig, err := l.key.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	var list cryptobyte.Builder
	list.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			b.AddUint8(0)
			b.AddBytes(l.id[:])
			b.AddBytes(binary.BigEndian.AppendUint64(nil, millis))
			b.AddUint16(0)
			b.AddUint8(4) // SHA-256
			b.AddUint8(3) // ECDSA
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(sig) })
		})
	})
	raw, err := list.Bytes()
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(raw)
}
