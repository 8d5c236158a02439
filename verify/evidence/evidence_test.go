package evidence_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/attest/sigstoretest"
	"github.com/hallmark-dev/hallmark/verify/evidence"
)

func TestZero(t *testing.T) {
	digest, err := attest.ParseDigest("sha256:" + strings.Repeat("0", 64))
	if err != nil {
		t.Fatal(err)
	}
	st, err := attest.New([]attest.Subject{{Name: "a", Digest: attest.Set(digest)}}, attest.Raw{Type: "a:b", JSON: []byte("{}")})
	if err != nil {
		t.Fatal(err)
	}
	who := evidence.Signer{Key: &evidence.Key{SPKI: digest}}
	for name, f := range map[string]evidence.Facts{
		"nothing":                       {},
		"no signer":                     {Statement: st},
		"neither statement nor message": {Signer: who},
	} {
		if e := evidence.New(f); !e.IsZero() || e.Statement() != nil || e.Signer() != (evidence.Signer{}) {
			t.Errorf("%s: not the zero Evidence", name)
		}
	}
	var zero evidence.Evidence
	if !zero.IsZero() || zero.Bundle() != "" || zero.Envelope() != "" || zero.Times() != nil || zero.Logs() != nil || zero.SCT() || !zero.Message().IsZero() || !zero.Root().Digest.IsZero() || zero.At("x").Location() != "" && !zero.At("x").IsZero() {
		t.Error("the zero Evidence says something")
	}
}

func TestEvidenceIsReadOnly(t *testing.T) {
	digest, err := attest.ParseDigest("sha256:" + strings.Repeat("0", 64))
	if err != nil {
		t.Fatal(err)
	}
	early, late := time.Unix(1, 0), time.Unix(2, 0)
	f := evidence.Facts{Message: digest, Signer: evidence.Signer{Key: &evidence.Key{SPKI: digest}},
		Times: []evidence.Time{{Time: late}, {Time: early}}, Logs: []evidence.LogEntry{{Index: 1}}}
	e := evidence.New(f)
	f.Times[0].Time, f.Logs[0].Index = time.Unix(9, 0), 9
	if got := e.Times(); !got[0].Time.Equal(early) || !got[1].Time.Equal(late) {
		t.Errorf("times %v, want them in order, as they were given", got)
	}
	e.Times()[0].Time, e.Logs()[0].Index = time.Unix(9, 0), 9
	if !e.Times()[0].Time.Equal(early) || e.Logs()[0].Index != 1 {
		t.Error("a reader can change the evidence")
	}
	if at := e.At("file"); at.Location() != "file" || e.Location() != "" || at.IsZero() {
		t.Errorf("locations %q and %q", at.Location(), e.Location())
	}
}

var sanOID = asn1.ObjectIdentifier{2, 5, 29, 17}

// certificate makes a self-signed certificate with these extensions.
func certificate(t testing.TB, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1000, 0)}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func utf8(s string) []byte {
	der, err := asn1.MarshalWithParams(s, "utf8")
	if err != nil {
		panic(err)
	}
	return der
}

func extension(n int, value []byte) pkix.Extension {
	return pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, n}, Value: value}
}

// Each extension reaches the field that has its number, and no other.
func TestCertificateExtensions(t *testing.T) {
	fields := map[int]func(*evidence.Certificate) string{
		1: func(c *evidence.Certificate) string { return c.Legacy.Issuer }, 2: func(c *evidence.Certificate) string { return c.Legacy.Trigger },
		3: func(c *evidence.Certificate) string { return c.Legacy.SHA }, 4: func(c *evidence.Certificate) string { return c.Legacy.Workflow },
		5: func(c *evidence.Certificate) string { return c.Legacy.Repository }, 6: func(c *evidence.Certificate) string { return c.Legacy.Ref },
		8: func(c *evidence.Certificate) string { return c.Issuer }, 9: func(c *evidence.Certificate) string { return c.BuildSignerURI },
		10: func(c *evidence.Certificate) string { return c.BuildSignerDigest }, 11: func(c *evidence.Certificate) string { return c.RunnerEnvironment },
		12: func(c *evidence.Certificate) string { return c.SourceRepositoryURI }, 13: func(c *evidence.Certificate) string { return c.SourceDigest },
		14: func(c *evidence.Certificate) string { return c.SourceRef }, 15: func(c *evidence.Certificate) string { return c.SourceRepositoryID },
		16: func(c *evidence.Certificate) string { return c.SourceOwnerURI }, 17: func(c *evidence.Certificate) string { return c.SourceOwnerID },
		18: func(c *evidence.Certificate) string { return c.BuildConfigURI }, 19: func(c *evidence.Certificate) string { return c.BuildConfigDigest },
		20: func(c *evidence.Certificate) string { return c.BuildTrigger }, 21: func(c *evidence.Certificate) string { return c.RunInvocationURI },
		22: func(c *evidence.Certificate) string { return c.SourceVisibility }, 23: func(c *evidence.Certificate) string { return c.DeploymentEnv },
		24: func(c *evidence.Certificate) string { return c.TokenSubject },
	}
	for n, get := range fields {
		want := fmt.Sprintf("value of %d é", n)
		c, err := evidence.ReadUnverifiedCertificate(certificate(t, func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{sigstoretest.Extension(n, want), extension(99, []byte("ignored"))}
		}))
		if err != nil {
			t.Fatalf(".%d: %v", n, err)
		}
		if get(c) != want || c.HasModern() != (n >= 8) {
			t.Errorf(".%d: %+v", n, c)
		}
		for m, other := range fields {
			if m != n && other(c) != "" {
				t.Errorf(".%d also became .%d", n, m)
			}
		}
	}
}

func TestCertificateRefuses(t *testing.T) {
	at := strings.Repeat("x", 4096)
	for name, ext := range map[string]pkix.Extension{
		"raw text where DER should be":      extension(8, []byte("https://example.com")),
		"another string type":               extension(8, []byte{0x13, 1, 'a'}),
		"bytes behind the value":            extension(9, append(utf8("a"), 0)),
		"invalid UTF-8":                     extension(9, []byte{0x0c, 1, 0xff}),
		"invalid UTF-8, old":                extension(1, []byte{0xff}),
		"empty":                             extension(12, []byte{0x0c, 0}),
		"too long":                          extension(12, utf8(at+"x")),
		"too long, old":                     extension(5, []byte(at+"x")),
		"name of unknown kind of OtherName": {Id: sanOID, Value: []byte{0x30, 8, 0xa0, 6, 0x06, 1, 42, 0xa0, 1, 0}},
		"names that are no sequence":        {Id: sanOID, Value: []byte{0x0c, 1, 'a'}},
		"bytes behind the names":            {Id: sanOID, Value: []byte{0x30, 3, 0x86, 1, 'a', 0}},
		"name of no class":                  {Id: sanOID, Value: []byte{0x30, 3, 0x0c, 1, 'a'}},
	} {
		// Made by hand, because crypto/x509 would refuse some of them earlier.
		cert := certificate(t, nil)
		cert.Extensions = []pkix.Extension{ext}
		if c, err := evidence.ReadUnverifiedCertificate(cert); err == nil {
			t.Errorf("%s: %+v", name, c)
		}
	}
	cert := certificate(t, nil)
	cert.Extensions = []pkix.Extension{extension(8, utf8("a")), extension(8, utf8("b"))}
	if _, err := evidence.ReadUnverifiedCertificate(cert); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("got %v", err)
	}
	cert.Extensions = []pkix.Extension{extension(12, utf8(at))}
	if _, err := evidence.ReadUnverifiedCertificate(cert); err != nil {
		t.Errorf("at the limit: %v", err)
	}
}

func TestNames(t *testing.T) {
	uri, err := url.Parse("https://example.com/a")
	if err != nil {
		t.Fatal(err)
	}
	c, err := evidence.ReadUnverifiedCertificate(certificate(t, func(c *x509.Certificate) {
		c.URIs, c.EmailAddresses, c.DNSNames, c.IPAddresses = []*url.URL{uri}, []string{"jo@example.com"}, []string{"example.com"}, []net.IP{{127, 0, 0, 1}}
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := map[evidence.SAN]bool{{Kind: "uri", Value: "https://example.com/a"}: true, {Kind: "email", Value: "jo@example.com"}: true,
		{Kind: "dns", Value: "example.com"}: true, {Kind: "ip", Value: "7f000001"}: true}
	got := make(map[evidence.SAN]bool)
	for _, s := range c.SANs {
		got[s] = true
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("names %v", c.SANs)
	}
	// Fulcio's name for users without e-mail: OtherName of type .7.
	oid, err := asn1.Marshal(asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 7})
	if err != nil {
		t.Fatal(err)
	}
	name := utf8("jo!example.com")
	inner := append(oid, append([]byte{0xa0, byte(len(name))}, name...)...)
	other := append([]byte{0xa0, byte(len(inner))}, inner...)
	cert := certificate(t, nil)
	cert.Extensions = []pkix.Extension{{Id: sanOID, Value: append([]byte{0x30, byte(len(other))}, other...)}}
	if c, err = evidence.ReadUnverifiedCertificate(cert); err != nil || len(c.SANs) != 1 || c.SANs[0] != (evidence.SAN{Kind: "other", Value: "jo!example.com"}) {
		t.Errorf("%v, %+v", err, c)
	}
}

func FuzzReadUnverifiedCertificate(f *testing.F) {
	cert := certificate(f, nil)
	f.Add(8, utf8("https://example.com"), []byte{0x30, 3, 0x86, 1, 'a'})
	f.Add(1, []byte("raw"), []byte{0x30, 0})
	f.Fuzz(func(t *testing.T, n int, value, san []byte) {
		c := *cert
		c.Extensions = []pkix.Extension{extension(n, value), {Id: sanOID, Value: san}}
		got, err := evidence.ReadUnverifiedCertificate(&c)
		if err == nil && got.SPKI.IsZero() {
			t.Error("a certificate without key")
		}
	})
}

func Example() {
	// A policy test makes evidence without a verifier.
	digest, err := attest.ParseDigest("sha256:" + strings.Repeat("0", 64))
	if err != nil {
		fmt.Println(err)
		return
	}
	ev := evidence.New(evidence.Facts{Message: digest, Signer: evidence.Signer{Key: &evidence.Key{SPKI: digest}}})
	fmt.Println(ev.IsZero(), evidence.New(evidence.Facts{}).IsZero())
	// Output: false true
}
