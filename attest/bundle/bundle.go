// Package bundle reads Sigstore bundles: one signature or attestation with
// everything that is needed to verify it offline.
//
// It implements the Sigstore bundle format v0.1, v0.2 and v0.3
// (https://github.com/sigstore/protobuf-specs, sigstore_bundle.proto).
// Start with [Parse]. A Bundle keeps the bytes that it was given: they are what
// is stored, hashed and handed to the verifier.
//
// Nothing in a bundle is true until package verify says so. What can be read
// without verifying is in [Unverified], for tools that show or select bundles.
package bundle

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/hallmark-dev/hallmark/internal/strictjson"
)

// Limits on what [Parse] accepts. A real bundle is about 10 KiB, with one log
// entry, one certificate and at most one timestamp.
const (
	MaxBytes        = 40 << 20 // bytes of JSON; a statement of 24 MiB fits
	MaxLogEntries   = 32       // transparency log entries
	MaxTimestamps   = 32       // RFC 3161 timestamps
	MaxCertificates = 10       // certificates in a chain (v0.1 and v0.2)
	MaxProofHashes  = 64       // hashes in one inclusion proof: a tree of 2^64 leaves
	MaxPartBytes    = 1 << 20  // bytes of one certificate, signature, timestamp, checkpoint
	MaxDepth        = 16       // levels of arrays and objects
)

// MediaType is the media type of the version that is written, v0.3.
const MediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"

var versions = map[string]string{
	"application/vnd.dev.sigstore.bundle+json;version=0.1": "0.1",
	"application/vnd.dev.sigstore.bundle+json;version=0.2": "0.2",
	"application/vnd.dev.sigstore.bundle+json;version=0.3": "0.3",
	"application/vnd.dev.sigstore.bundle.v0.1+json":        "0.1",
	"application/vnd.dev.sigstore.bundle.v0.2+json":        "0.2",
	MediaType: "0.3",
}

// A Bundle is a well-formed Sigstore bundle. It is immutable and safe for
// concurrent use. The zero Bundle is empty, and no verifier accepts it.
type Bundle struct {
	raw     []byte
	digest  [sha256.Size]byte
	version string
	pb      *protobundle.Bundle
}

// Parse reads a bundle and copies its bytes. It refuses what is not exactly
// one JSON document without duplicate names, what the format does not know,
// what a version does not allow (a certificate chain in v0.3, more or less than
// one signature in an envelope, a log entry without inclusion proof from v0.2
// on, without promise in v0.1), and whatever exceeds the limits.
func Parse(data []byte) (*Bundle, error) {
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("bundle: %d bytes, want at most %d", len(data), MaxBytes)
	}
	b := &Bundle{raw: bytes.Clone(data), digest: sha256.Sum256(data), pb: new(protobundle.Bundle)}
	if err := strictjson.Check(b.raw, MaxDepth); err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	if err := protojson.Unmarshal(b.raw, b.pb); err != nil {
		// protojson varies its text on purpose; say it the same way each time.
		return nil, fmt.Errorf("bundle: not a Sigstore bundle: %s", steady(err))
	}
	version, ok := versions[b.pb.GetMediaType()]
	if !ok {
		return nil, fmt.Errorf("bundle: media type %.128q, want a Sigstore bundle v0.1 to v0.3 such as %s", b.pb.GetMediaType(), MediaType)
	}
	b.version = version
	if err := b.check(); err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	return b, nil
}

func steady(err error) string {
	text := strings.ReplaceAll(err.Error(), "\u00a0", " ")
	text = strings.TrimSpace(strings.TrimPrefix(text, "proto:"))
	if len(text) > 200 {
		text = text[:200] + "…"
	}
	return text
}

func (b *Bundle) check() error {
	switch {
	case b.pb.GetDsseEnvelope() != nil:
		env := b.pb.GetDsseEnvelope()
		if n := len(env.GetSignatures()); n != 1 {
			return fmt.Errorf("envelope with %d signatures, want exactly one", n)
		}
		if env.GetPayloadType() == "" {
			return errors.New("envelope without payloadType")
		}
		if len(env.GetPayload()) == 0 {
			return errors.New("envelope without payload")
		}
		if err := part("signature", env.GetSignatures()[0].GetSig()); err != nil {
			return err
		}
	case b.pb.GetMessageSignature() != nil:
		m := b.pb.GetMessageSignature()
		if err := part("signature", m.GetSignature()); err != nil {
			return err
		}
		if len(m.GetMessageDigest().GetDigest()) == 0 {
			return errors.New("message signature without messageDigest")
		}
	default:
		return errors.New("no dsseEnvelope and no messageSignature")
	}
	return b.checkMaterial(b.pb.GetVerificationMaterial())
}

func part(name string, data []byte) error {
	if len(data) == 0 {
		return fmt.Errorf("%s is missing or empty", name)
	}
	if len(data) > MaxPartBytes {
		return fmt.Errorf("%s of %d bytes, want at most %d", name, len(data), MaxPartBytes)
	}
	return nil
}

func (b *Bundle) checkMaterial(m *protobundle.VerificationMaterial) error {
	switch {
	case m == nil:
		return errors.New("no verificationMaterial")
	case m.GetPublicKey() != nil:
		if len(m.GetPublicKey().GetHint()) > 1024 {
			return errors.New("publicKey hint longer than 1024 bytes")
		}
	case m.GetCertificate() != nil:
		if err := part("certificate", m.GetCertificate().GetRawBytes()); err != nil {
			return err
		}
	case m.GetX509CertificateChain() != nil:
		if b.version == "0.3" {
			return errors.New("x509CertificateChain in v0.3, want a single certificate")
		}
		chain := m.GetX509CertificateChain().GetCertificates()
		if len(chain) == 0 || len(chain) > MaxCertificates {
			return fmt.Errorf("chain of %d certificates, want 1 to %d", len(chain), MaxCertificates)
		}
		for _, c := range chain {
			if err := part("certificate", c.GetRawBytes()); err != nil {
				return err
			}
		}
	default:
		return errors.New("verificationMaterial without certificate or publicKey")
	}
	if n := len(m.GetTlogEntries()); n > MaxLogEntries {
		return fmt.Errorf("%d log entries, want at most %d", n, MaxLogEntries)
	}
	for i, e := range m.GetTlogEntries() {
		if err := b.checkEntry(e); err != nil {
			return fmt.Errorf("tlogEntries[%d]: %w", i, err)
		}
	}
	stamps := m.GetTimestampVerificationData().GetRfc3161Timestamps()
	if len(stamps) > MaxTimestamps {
		return fmt.Errorf("%d timestamps, want at most %d", len(stamps), MaxTimestamps)
	}
	for i, t := range stamps {
		if err := part(fmt.Sprintf("rfc3161Timestamps[%d]", i), t.GetSignedTimestamp()); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bundle) checkEntry(e *protorekor.TransparencyLogEntry) error {
	switch {
	case len(e.GetLogId().GetKeyId()) == 0:
		return errors.New("no logId")
	case e.GetKindVersion().GetKind() == "" || e.GetKindVersion().GetVersion() == "":
		return errors.New("no kindVersion")
	case len(e.GetCanonicalizedBody()) == 0:
		return errors.New("no canonicalizedBody")
	case e.GetLogIndex() < 0 || e.GetIntegratedTime() < 0:
		return errors.New("negative logIndex or integratedTime")
	}
	proof := e.GetInclusionProof()
	if proof != nil {
		if err := part("checkpoint", []byte(proof.GetCheckpoint().GetEnvelope())); err != nil {
			return err
		}
		if n := len(proof.GetHashes()); n > MaxProofHashes {
			return fmt.Errorf("inclusion proof of %d hashes, want at most %d", n, MaxProofHashes)
		}
	}
	if b.version == "0.1" {
		if len(e.GetInclusionPromise().GetSignedEntryTimestamp()) == 0 {
			return errors.New("no inclusion promise, which v0.1 requires")
		}
	} else if proof == nil {
		return errors.New("no inclusion proof, which is required from v0.2 on")
	}
	return nil
}

// Bytes is the bundle exactly as it was parsed. The caller must not change it.
func (b *Bundle) Bytes() []byte { return b.raw }

// Digest is "sha256:HEX" over [Bundle.Bytes]. It names this file, and not what
// it says: the same signature can be written in several ways.
func (b *Bundle) Digest() string { return "sha256:" + hex.EncodeToString(b.digest[:]) }

// Version is "0.1", "0.2" or "0.3".
func (b *Bundle) Version() string { return b.version }

// Unverified is what a bundle says of itself. None of it is proven: anybody can
// write it. It serves to show a bundle and to choose which ones to verify.
type Unverified struct {
	PayloadType   string // of the envelope; empty for a message signature
	Payload       []byte // of the envelope, usually an in-toto statement; nil for a message signature
	MessageDigest string // "sha256:HEX" of a message signature; empty for an envelope
	Certificate   *x509.Certificate
	KeyHint       string // which key it says it was signed with, when it has no certificate
	LogEntries    []UnverifiedLogEntry
	Timestamps    int // number of RFC 3161 timestamps
}

// UnverifiedLogEntry is what a bundle says about one transparency log entry.
type UnverifiedLogEntry struct {
	LogID          string // hexadecimal
	Index          int64
	Kind, Version  string
	IntegratedTime int64 // seconds since 1970; 0 when there is none
}

// Unverified returns what the bundle says of itself. The error is that of a
// certificate that cannot be parsed; the other fields are set all the same.
func (b *Bundle) Unverified() (Unverified, error) {
	var u Unverified
	if env := b.pb.GetDsseEnvelope(); env != nil {
		u.PayloadType, u.Payload = env.GetPayloadType(), env.GetPayload()
	}
	if m := b.pb.GetMessageSignature(); m != nil {
		alg := strings.ToLower(strings.Replace(m.GetMessageDigest().GetAlgorithm().String(), "SHA2_", "sha", 1))
		u.MessageDigest = alg + ":" + hex.EncodeToString(m.GetMessageDigest().GetDigest())
	}
	material := b.pb.GetVerificationMaterial()
	u.KeyHint = material.GetPublicKey().GetHint()
	for _, e := range material.GetTlogEntries() {
		u.LogEntries = append(u.LogEntries, UnverifiedLogEntry{
			LogID: hex.EncodeToString(e.GetLogId().GetKeyId()), Index: e.GetLogIndex(),
			Kind: e.GetKindVersion().GetKind(), Version: e.GetKindVersion().GetVersion(),
			IntegratedTime: e.GetIntegratedTime(),
		})
	}
	u.Timestamps = len(material.GetTimestampVerificationData().GetRfc3161Timestamps())
	der := material.GetCertificate().GetRawBytes()
	if chain := material.GetX509CertificateChain().GetCertificates(); len(chain) > 0 {
		der = chain[0].GetRawBytes()
	}
	if der == nil {
		return u, nil
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return u, fmt.Errorf("bundle: certificate: %w", err)
	}
	u.Certificate = cert
	return u, nil
}
