package key_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/hallmark-dev/hallmark/attest/key"
)

var algorithms = []key.Algorithm{key.ECDSAP256, key.ECDSAP384, key.ECDSAP521, key.Ed25519, key.RSA3072}

func generate(t testing.TB, a key.Algorithm) *key.Private {
	t.Helper()
	k, err := key.Generate(a)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// signs reports whether the key signs and its public half verifies.
func signs(t *testing.T, k *key.Private) {
	t.Helper()
	sum := sha256.Sum256([]byte("x"))
	opts := crypto.SignerOpts(crypto.SHA256)
	digest := sum[:]
	if _, ok := k.Public().(ed25519.PublicKey); ok {
		opts, digest = crypto.Hash(0), []byte("x")
	}
	sig, err := k.Sign(t.Context(), digest, opts)
	if err != nil {
		t.Fatal(err)
	}
	ok := false
	switch pub := k.Public().(type) {
	case *ecdsa.PublicKey:
		ok = ecdsa.VerifyASN1(pub, digest, sig)
	case ed25519.PublicKey:
		ok = ed25519.Verify(pub, digest, sig)
	case *rsa.PublicKey:
		ok = rsa.VerifyPKCS1v15(pub, crypto.SHA256, digest, sig) == nil
	}
	if !ok {
		t.Errorf("the signature of %T does not verify", k.Public())
	}
}

func TestRoundTrip(t *testing.T) {
	for _, alg := range algorithms {
		t.Run(string(alg), func(t *testing.T) {
			k := generate(t, alg)
			signs(t, k)
			plain, err := k.MarshalPEM()
			if err != nil {
				t.Fatal(err)
			}
			sealed, err := k.MarshalEncrypted([]byte("secret"))
			if err != nil {
				t.Fatal(err)
			}
			for name, data := range map[string][]byte{"plain": plain, "encrypted": sealed,
				"cosign": bytes.ReplaceAll(sealed, []byte("ENCRYPTED SIGSTORE"), []byte("ENCRYPTED COSIGN"))} {
				again, err := key.Parse(data, []byte("secret"))
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				signs(t, again)
				if again.PublicKey().Fingerprint() != k.PublicKey().Fingerprint() {
					t.Errorf("%s: another key", name)
				}
			}
			for _, wrong := range []string{"", "Secret", "secret "} {
				if _, err := key.Parse(sealed, []byte(wrong)); !errors.Is(err, key.ErrPassphrase) {
					t.Errorf("passphrase %q: %v", wrong, err)
				}
			}
			pub, err := key.ParsePublic(k.PublicKey().PEM())
			if err != nil || pub.Fingerprint() != k.PublicKey().Fingerprint() || pub.Hint() != k.PublicKey().Hint() || !bytes.Equal(pub.PEM(), k.PublicKey().PEM()) {
				t.Errorf("%v, %s", err, pub.Fingerprint())
			}
			// Sigstore's own library reads what was written here.
			if _, err := cryptoutils.UnmarshalPEMToPrivateKey(sealed, cryptoutils.StaticPasswordFunc([]byte("secret"))); err != nil {
				t.Error(err)
			}
		})
	}
}

func block(t testing.TB, typ string, der []byte, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der})
}

func TestOtherForms(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, key.MinRSABits)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(ec)
	for name, data := range map[string][]byte{
		"SEC 1":  block(t, "EC PRIVATE KEY", sec1, err),
		"PKCS#1": block(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rs), nil),
	} {
		k, err := key.Parse(data, nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		signs(t, k)
	}
	pub, err := key.ParsePublic(block(t, "RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rs.PublicKey), nil))
	if err != nil || !bytes.Contains(pub.PEM(), []byte("BEGIN PUBLIC KEY")) {
		t.Errorf("PKCS#1: %v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	good := generate(t, key.ECDSAP256)
	plain, err := good.MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	weak, err := x509.MarshalPKCS8PrivateKey(p224)
	if err != nil {
		t.Fatal(err)
	}
	full := append(bytes.Clone(plain), bytes.Repeat([]byte("\n"), key.MaxBytes-len(plain))...)
	if _, err := key.Parse(full, nil); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	for _, test := range []struct {
		name string
		data []byte
		text string
	}{
		{"empty", nil, "empty"},
		{"white space", []byte(" \n"), "empty"},
		{"text", []byte("hello"), "no PEM block"},
		{"truncated", plain[:len(plain)/2], "no PEM block"},
		{"text in front", append([]byte("x\n"), plain...), "exactly one block"},
		{"text behind", append(bytes.Clone(plain), 'x'), "exactly one block"},
		{"two keys", append(bytes.Clone(plain), plain...), "exactly one block"},
		{"too large", append(full, '\n'), "want at most 65536"},
		{"public key", good.PublicKey().PEM(), "found a public key"},
		{"certificate", block(t, "CERTIFICATE", []byte("x"), nil), "PEM block"},
		{"nonsense inside", block(t, "PRIVATE KEY", []byte("x"), nil), "key: "},
		{"encrypted PKCS#8", block(t, "ENCRYPTED PRIVATE KEY", []byte("x"), nil), "openssl pkcs8"},
		{"old OpenSSL encryption", []byte(strings.Replace(string(plain), "-----\n", "-----\nProc-Type: 4,ENCRYPTED\n\n", 1)), "PEM headers"},
		{"nonsense encrypted", block(t, "ENCRYPTED SIGSTORE PRIVATE KEY", []byte("{}"), nil), "want scrypt"},
		{"encrypted, not JSON", block(t, "ENCRYPTED SIGSTORE PRIVATE KEY", []byte("x"), nil), "malformed"},
		{"RSA of 1024 bits", block(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(small), nil), "want 2048 to 8192"},
		{"P-224", block(t, "PRIVATE KEY", weak, nil), "want P-256"},
	} {
		t.Run(test.name, func(t *testing.T) {
			k, err := key.Parse(test.data, []byte("secret"))
			if k != nil || err == nil || !strings.Contains(err.Error(), test.text) {
				t.Errorf("got %v, want %q", err, test.text)
			}
			if strings.Contains(test.name, "public") {
				return
			}
			if p, err := key.ParsePublic(test.data); err == nil || p.Key() != nil {
				t.Error("accepted as a public key")
			}
		})
	}
	if _, err := key.ParsePublic(block(t, "CERTIFICATE", []byte("x"), nil)); err == nil || !strings.Contains(err.Error(), "found a certificate") {
		t.Errorf("got %v", err)
	}
	if _, err := key.Generate("dsa"); err == nil {
		t.Error("an unknown algorithm was accepted")
	}
	if _, err := key.New(nil); err == nil {
		t.Error("no key was accepted")
	}
	if _, err := good.MarshalEncrypted(nil); err == nil {
		t.Error("an empty passphrase was accepted")
	}
}

func TestZeroValues(t *testing.T) {
	var k key.Private
	if _, err := k.Sign(context.Background(), make([]byte, 32), crypto.SHA256); err == nil {
		t.Error("the zero Private signs")
	}
	if _, err := (*key.Private)(nil).Sign(context.Background(), make([]byte, 32), crypto.SHA256); err == nil {
		t.Error("nil signs")
	}
	if _, err := k.MarshalPEM(); err == nil {
		t.Error("the zero Private can be written")
	}
	var p key.Public
	if !p.Fingerprint().IsZero() || p.Key() != nil || p.Hint() != "" {
		t.Error("the zero Public is something")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := generate(t, key.ECDSAP256).Sign(ctx, make([]byte, 32), crypto.SHA256); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, alg := range []key.Algorithm{key.ECDSAP256, key.Ed25519} {
		plain, err := generate(f, alg).MarshalPEM()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(plain)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if k, err := key.Parse(data, nil); err == nil {
			if again, err := key.ParsePublic(k.PublicKey().PEM()); err != nil || again.Fingerprint() != k.PublicKey().Fingerprint() {
				t.Errorf("the public half does not read back: %v", err)
			}
		}
	})
}

func FuzzParsePublic(f *testing.F) {
	for _, alg := range algorithms {
		f.Add(generate(f, alg).PublicKey().PEM())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, err := key.ParsePublic(data); err == nil {
			if again, err := key.ParsePublic(p.PEM()); err != nil || again.Fingerprint() != p.Fingerprint() {
				t.Errorf("does not read back: %v", err)
			}
		}
	})
}

func Example() {
	k, err := key.Generate(key.ECDSAP256)
	if err != nil {
		fmt.Println(err)
		return
	}
	file, err := k.MarshalEncrypted([]byte("correct horse battery staple"))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = key.Parse(file, []byte("wrong"))
	fmt.Println(errors.Is(err, key.ErrPassphrase))
	// Output: true
}

// What is no key does not panic, and gives nothing that could be taken for one.
func TestNoKey(t *testing.T) {
	var none *key.Private
	if none.Public() != nil || !none.PublicKey().Fingerprint().IsZero() || none.PublicKey().PEM() != nil {
		t.Error("a nil key has a public half")
	}
	if _, err := none.MarshalPEM(); err == nil {
		t.Error("a nil key was written")
	}
	if _, err := none.MarshalEncrypted([]byte("x")); err == nil {
		t.Error("a nil key was written")
	}
	if _, err := key.NewPublic(ed25519.PublicKey("short")); err == nil {
		t.Error("an Ed25519 key of 5 bytes was taken")
	}
}
