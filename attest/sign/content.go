package sign

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"

	"github.com/hallmark-dev/hallmark/attest"
)

// An algorithm is what Sigstore ties to a kind of key.
type algorithm struct {
	name   string // of the key, as Fulcio calls it
	hash   crypto.Hash
	digest string // as statements call the hash; empty for Ed25519
	proto  protocommon.HashAlgorithm
}

func algorithmOf(pub crypto.PublicKey) (algorithm, error) {
	sha256 := algorithm{"", crypto.SHA256, attest.SHA256, protocommon.HashAlgorithm_SHA2_256}
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		switch k.Curve.Params().BitSize {
		case 256:
			sha256.name = "ECDSA"
			return sha256, nil
		case 384:
			return algorithm{"ECDSA", crypto.SHA384, attest.SHA384, protocommon.HashAlgorithm_SHA2_384}, nil
		case 521:
			return algorithm{"ECDSA", crypto.SHA512, attest.SHA512, protocommon.HashAlgorithm_SHA2_512}, nil
		}
		return algorithm{}, fmt.Errorf("ECDSA on %s, want P-256, P-384 or P-521", k.Curve.Params().Name)
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			return algorithm{}, fmt.Errorf("Ed25519 key of %d bytes, want %d", len(k), ed25519.PublicKeySize)
		}
		return algorithm{name: "ED25519"}, nil
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < 2048 {
			return algorithm{}, fmt.Errorf("RSA of %d bits, want at least 2048", bits)
		}
		sha256.name = "RSA"
		return sha256, nil
	}
	return algorithm{}, fmt.Errorf("key of type %T, want ECDSA, Ed25519 or RSA", pub)
}

// sign signs a message with a key, hashed as the key wants it.
func (a algorithm) sign(ctx context.Context, key Key, msg []byte) ([]byte, error) {
	if a.hash == 0 {
		return key.Sign(ctx, msg, crypto.Hash(0))
	}
	h := a.hash.New()
	h.Write(msg)
	return key.Sign(ctx, h.Sum(nil), a.hash)
}

// content is what is signed: an envelope or a message.
type content interface {
	sign(ctx context.Context, key Key, alg algorithm) ([]byte, error)
	fill(b *protobundle.Bundle, sig []byte, alg algorithm)
}

type envelope struct{ payload []byte }

func (e *envelope) sign(ctx context.Context, key Key, alg algorithm) ([]byte, error) {
	return alg.sign(ctx, key, dsse.PAE(attest.PayloadType, e.payload))
}

func (e *envelope) fill(b *protobundle.Bundle, sig []byte, _ algorithm) {
	b.Content = &protobundle.Bundle_DsseEnvelope{DsseEnvelope: envelopeOf(e.payload, sig)}
}

type message struct{ digest attest.Digest }

func (m *message) sign(ctx context.Context, key Key, alg algorithm) ([]byte, error) {
	if alg.digest == "" {
		return nil, errors.New("an Ed25519 key signs the artifact itself and not its digest: use an ECDSA key, or attest a statement")
	}
	if m.digest.Algorithm() != alg.digest {
		return nil, fmt.Errorf("digest %s, want the %s of the artifact for this key", m.digest, alg.digest)
	}
	return key.Sign(ctx, m.digest.Bytes(), alg.hash)
}

func (m *message) fill(b *protobundle.Bundle, sig []byte, alg algorithm) {
	b.Content = &protobundle.Bundle_MessageSignature{MessageSignature: &protocommon.MessageSignature{
		MessageDigest: &protocommon.HashOutput{Algorithm: alg.proto, Digest: m.digest.Bytes()}, Signature: sig,
	}}
}
