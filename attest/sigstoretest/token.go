package sigstoretest

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"

	"github.com/digitorus/timestamp"
)

// Timestamp tokens are encoded here, and not by the library that reads requests:
// that one writes the system's clock and random numbers into every token, and
// here both come from the options.

var (
	signedDataOID    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	tstInfoOID       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
	contentTypeOID   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	messageDigestOID = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	signingCertOID   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47} // RFC 5035, v2
	ecdsaSHA256OID   = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
	sha256Algorithm  = pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}}
	hashOIDs         = map[crypto.Hash]asn1.ObjectIdentifier{
		crypto.SHA256: sha256Algorithm.Algorithm,
		crypto.SHA384: {2, 16, 840, 1, 101, 3, 4, 2, 2},
		crypto.SHA512: {2, 16, 840, 1, 101, 3, 4, 2, 3},
	}
)

type messageImprint struct {
	HashAlgorithm pkix.AlgorithmIdentifier
	HashedMessage []byte
}

// tstInfo is TSTInfo of RFC 3161, section 2.4.2.
type tstInfo struct {
	Version        int
	Policy         asn1.ObjectIdentifier
	MessageImprint messageImprint
	SerialNumber   *big.Int
	GenTime        time.Time `asn1:"generalized"`
	Accuracy       struct{ Seconds int }
	Nonce          *big.Int `asn1:"optional"`
}

type attribute struct {
	Type   asn1.ObjectIdentifier
	Values []asn1.RawValue `asn1:"set"`
}

type issuerAndSerial struct {
	Issuer asn1.RawValue
	Serial *big.Int
}

// signerInfo is SignerInfo of RFC 5652, section 5.3.
type signerInfo struct {
	Version            int
	SID                issuerAndSerial
	DigestAlgorithm    pkix.AlgorithmIdentifier
	SignedAttributes   asn1.RawValue
	SignatureAlgorithm pkix.AlgorithmIdentifier
	Signature          []byte
}

type encapsulated struct {
	Type    asn1.ObjectIdentifier
	Content []byte `asn1:"explicit,tag:0"`
}

// signedData is SignedData of RFC 5652, section 5.1.
type signedData struct {
	Version          int
	DigestAlgorithms []pkix.AlgorithmIdentifier `asn1:"set"`
	Content          encapsulated
	Certificates     asn1.RawValue `asn1:"optional"`
	SignerInfos      []signerInfo  `asn1:"set"`
}

type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content signedData `asn1:"explicit,tag:0"`
}

type response struct {
	Status struct{ Status int } // 0 is granted
	Token  contentInfo
}

// sign answers a request (RFC 3161, section 2.4.2).
func (t *tsa) sign(req *timestamp.Request) ([]byte, error) {
	hash, ok := hashOIDs[req.HashAlgorithm]
	if !ok {
		return nil, fmt.Errorf("hash algorithm %s, want SHA-256, SHA-384 or SHA-512", req.HashAlgorithm)
	}
	now := t.now().UTC().Truncate(time.Second)
	info := tstInfo{
		Version: 1, Policy: tsaPolicy, MessageImprint: messageImprint{pkix.AlgorithmIdentifier{Algorithm: hash}, req.HashedMessage},
		SerialNumber: t.keys.serial(fmt.Sprintf("%x %d", req.HashedMessage, now.Unix())), GenTime: now, Nonce: req.Nonce,
	}
	info.Accuracy.Seconds = 1
	content, err := asn1.Marshal(info)
	if err != nil {
		return nil, err
	}
	attributes, err := t.attributes(content)
	if err != nil {
		return nil, err
	}
	// RFC 5652, section 5.4: signed is the SET OF, and not the [0] that stands in
	// its place.
	digest := sha256.Sum256(attributes)
	sig, err := t.key.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	attributes[0] = 0xa0
	data := signedData{
		Version: 3, DigestAlgorithms: []pkix.AlgorithmIdentifier{sha256Algorithm}, Content: encapsulated{tstInfoOID, content},
		SignerInfos: []signerInfo{{
			Version: 1, SID: issuerAndSerial{asn1.RawValue{FullBytes: t.leaf.RawIssuer}, t.leaf.SerialNumber}, DigestAlgorithm: sha256Algorithm,
			SignedAttributes: asn1.RawValue{FullBytes: attributes}, SignatureAlgorithm: pkix.AlgorithmIdentifier{Algorithm: ecdsaSHA256OID}, Signature: sig,
		}},
	}
	if req.Certificates && !t.detached {
		data.Certificates = asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: t.leaf.Raw}
	}
	return asn1.Marshal(response{Token: contentInfo{signedDataOID, data}})
}

// attributes are the signed ones that RFC 3161 asks for, as a DER SET OF.
func (t *tsa) attributes(content []byte) ([]byte, error) {
	sum, leaf := sha256.Sum256(content), sha256.Sum256(t.leaf.Raw)
	// SigningCertificateV2 with one ESSCertIDv2, whose default hash is SHA-256.
	type certID struct{ Hash []byte }
	type certIDs struct{ Certs []certID }
	var out []attribute
	for _, a := range []struct {
		oid   asn1.ObjectIdentifier
		value any
	}{{contentTypeOID, tstInfoOID}, {messageDigestOID, sum[:]}, {signingCertOID, certIDs{[]certID{{leaf[:]}}}}} {
		der, err := asn1.Marshal(a.value)
		if err != nil {
			return nil, err
		}
		out = append(out, attribute{a.oid, []asn1.RawValue{{FullBytes: der}}})
	}
	return asn1.MarshalWithParams(out, "set")
}
