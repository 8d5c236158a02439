package bundle_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hallmark-dev/hallmark/attest/bundle"
)

type object = map[string]any

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func entry() object {
	return object{
		"logIndex": "7", "logId": object{"keyId": b64("log")}, "kindVersion": object{"kind": "dsse", "version": "0.0.1"},
		"integratedTime": "1700000000", "inclusionPromise": object{"signedEntryTimestamp": b64("set")},
		"inclusionProof": object{"logIndex": "7", "rootHash": b64("root"), "treeSize": "8", "hashes": []any{b64("h")},
			"checkpoint": object{"envelope": "log\n8\n"}},
		"canonicalizedBody": b64("{}"),
	}
}

// key is a well-formed bundle that is signed with a key.
func keyBundle() object {
	return object{
		"mediaType": bundle.MediaType,
		"verificationMaterial": object{
			"publicKey":                 object{"hint": "which"},
			"tlogEntries":               []any{entry()},
			"timestampVerificationData": object{"rfc3161Timestamps": []any{object{"signedTimestamp": b64("stamp")}}},
		},
		"dsseEnvelope": object{"payload": b64("payload"), "payloadType": "text/plain", "signatures": []any{object{"sig": b64("sig")}}},
	}
}

func messageBundle() object {
	o := keyBundle()
	delete(o, "dsseEnvelope")
	o["messageSignature"] = object{"messageDigest": object{"algorithm": "SHA2_256", "digest": b64("digest")}, "signature": b64("sig")}
	return o
}

func material(o object) object { return o["verificationMaterial"].(object) }
func envelope(o object) object { return o["dsseEnvelope"].(object) }
func firstEntry(o object) object {
	return material(o)["tlogEntries"].([]any)[0].(object)
}

func encode(t testing.TB, o object) []byte {
	t.Helper()
	data, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func with(change func(object)) object {
	o := keyBundle()
	change(o)
	return o
}

func TestParse(t *testing.T) {
	old := func(version string) object {
		return with(func(o object) {
			o["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=" + version
			delete(material(o), "publicKey")
			material(o)["x509CertificateChain"] = object{"certificates": []any{object{"rawBytes": b64("der")}}}
		})
	}
	withoutProof := old("0.1")
	delete(firstEntry(withoutProof), "inclusionProof")
	for name, test := range map[string]struct {
		o       object
		version string
	}{
		"v0.3":                  {keyBundle(), "0.3"},
		"v0.3, older name":      {with(func(o object) { o["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.3" }), "0.3"},
		"v0.2":                  {old("0.2"), "0.2"},
		"v0.1 with a proof":     {old("0.1"), "0.1"},
		"v0.1 without a proof":  {withoutProof, "0.1"},
		"message":               {messageBundle(), "0.3"},
		"no log, no timestamp":  {with(func(o object) { delete(material(o), "tlogEntries"); delete(material(o), "timestampVerificationData") }), "0.3"},
		"entry without promise": {with(func(o object) { delete(firstEntry(o), "inclusionPromise") }), "0.3"},
	} {
		t.Run(name, func(t *testing.T) {
			data := encode(t, test.o)
			b, err := bundle.Parse(data)
			if err != nil {
				t.Fatal(err)
			}
			want := slices.Clone(data)
			data[0] = 'x'
			if b.Version() != test.version || !bytes.Equal(b.Bytes(), want) || !strings.HasPrefix(b.Digest(), "sha256:") {
				t.Errorf("version %s, bytes %s", b.Version(), b.Bytes())
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	good := encode(t, keyBundle())
	certificate := func(o object) {
		delete(material(o), "publicKey")
		material(o)["certificate"] = object{"rawBytes": b64("der")}
	}
	chain := func(n int) func(object) {
		return func(o object) {
			o["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.2"
			delete(material(o), "publicKey")
			material(o)["x509CertificateChain"] = object{"certificates": slices.Repeat([]any{object{"rawBytes": b64("der")}}, n)}
		}
	}
	entries := func(n int) func(object) {
		return func(o object) { material(o)["tlogEntries"] = slices.Repeat([]any{entry()}, n) }
	}
	stamps := func(n int) func(object) {
		return func(o object) {
			material(o)["timestampVerificationData"] = object{"rfc3161Timestamps": slices.Repeat([]any{object{"signedTimestamp": b64("s")}}, n)}
		}
	}
	hashes := func(n int) func(object) {
		return func(o object) {
			firstEntry(o)["inclusionProof"].(object)["hashes"] = slices.Repeat([]any{b64("h")}, n)
		}
	}
	sig := func(n int) func(object) {
		return func(o object) { envelope(o)["signatures"] = []any{object{"sig": b64(strings.Repeat("s", n))}} }
	}
	for name, change := range map[string]func(object){
		"log entries": entries(bundle.MaxLogEntries), "timestamps": stamps(bundle.MaxTimestamps), "certificates": chain(bundle.MaxCertificates),
		"hashes": hashes(bundle.MaxProofHashes), "signature": sig(bundle.MaxPartBytes), "certificate": certificate,
	} {
		if _, err := bundle.Parse(encode(t, with(change))); err != nil {
			t.Errorf("%s at the limit: %v", name, err)
		}
	}
	full := append(slices.Clone(good), bytes.Repeat([]byte(" "), bundle.MaxBytes-len(good))...)
	if _, err := bundle.Parse(full); err != nil {
		t.Errorf("bytes at the limit: %v", err)
	}

	for _, test := range []struct {
		name string
		data []byte
		text string
	}{
		{"empty", nil, "bundle"},
		{"not JSON", []byte("hello"), "bundle"},
		{"array", []byte("[]"), "not a Sigstore bundle"},
		{"truncated", good[:len(good)-9], "bundle"},
		{"trailing data", append(slices.Clone(good), "{}"...), "bundle"},
		{"too large", append(slices.Clone(full), ' '), "want at most 41943040"},
		{"too deep", []byte(strings.Repeat(`{"a":`, bundle.MaxDepth) + "{}" + strings.Repeat("}", bundle.MaxDepth)), "levels"},
		{"duplicate name", bytes.Replace(good, []byte(`"mediaType"`), []byte(`"mediaType":"x","mediaType"`), 1), "twice"},
		{"both spellings of a name", bytes.Replace(good, []byte(`"mediaType"`), []byte(`"media_type":"x","mediaType"`), 1), "not a Sigstore bundle"},
		{"unknown field", encode(t, with(func(o object) { o["extra"] = 1 })), "not a Sigstore bundle"},
		{"no media type", encode(t, with(func(o object) { delete(o, "mediaType") })), "media type"},
		{"later version", encode(t, with(func(o object) { o["mediaType"] = "application/vnd.dev.sigstore.bundle.v0.4+json" })), "media type"},
		{"bare envelope", []byte(`{"payload":"e30=","payloadType":"text/plain","signatures":[{"sig":"AA=="}]}`), "not a Sigstore bundle"},
		{"no content", encode(t, with(func(o object) { delete(o, "dsseEnvelope") })), "no dsseEnvelope"},
		{"both contents", encode(t, with(func(o object) { o["messageSignature"] = messageBundle()["messageSignature"] })), "not a Sigstore bundle"},
		{"no material", encode(t, with(func(o object) { delete(o, "verificationMaterial") })), "no verificationMaterial"},
		{"no signer", encode(t, with(func(o object) { delete(material(o), "publicKey") })), "without certificate or publicKey"},
		{"certificate and key", encode(t, with(func(o object) { material(o)["certificate"] = object{"rawBytes": b64("der")} })), "not a Sigstore bundle"},
		{"no signature", encode(t, with(func(o object) { envelope(o)["signatures"] = []any{} })), "exactly one"},
		{"two signatures", encode(t, with(func(o object) { envelope(o)["signatures"] = []any{object{"sig": b64("a")}, object{"sig": b64("b")}} })), "exactly one"},
		{"empty signature", encode(t, with(func(o object) { envelope(o)["signatures"] = []any{object{"sig": ""}} })), "signature is missing"},
		{"large signature", encode(t, with(sig(bundle.MaxPartBytes+1))), "want at most 1048576"},
		{"no payload", encode(t, with(func(o object) { delete(envelope(o), "payload") })), "without payload"},
		{"no payload type", encode(t, with(func(o object) { delete(envelope(o), "payloadType") })), "without payloadType"},
		{"payload of another type", encode(t, with(func(o object) { envelope(o)["payload"] = 1 })), "not a Sigstore bundle"},
		{"long hint", encode(t, with(func(o object) { material(o)["publicKey"] = object{"hint": strings.Repeat("h", 1025)} })), "hint longer"},
		{"empty certificate", encode(t, with(func(o object) { certificate(o); material(o)["certificate"] = object{} })), "certificate is missing"},
		{"chain in v0.3", encode(t, with(func(o object) { chain(1)(o); o["mediaType"] = bundle.MediaType })), "x509CertificateChain in v0.3"},
		{"empty chain", encode(t, with(chain(0))), "want 1 to 10"},
		{"long chain", encode(t, with(chain(bundle.MaxCertificates+1))), "want 1 to 10"},
		{"chain with a hole", encode(t, with(func(o object) {
			chain(1)(o)
			material(o)["x509CertificateChain"] = object{"certificates": []any{object{}}}
		})), "certificate is missing"},
		{"many entries", encode(t, with(entries(bundle.MaxLogEntries+1))), "want at most 32"},
		{"many timestamps", encode(t, with(stamps(bundle.MaxTimestamps+1))), "want at most 32"},
		{"empty timestamp", encode(t, with(func(o object) {
			stamps(1)(o)
			material(o)["timestampVerificationData"] = object{"rfc3161Timestamps": []any{object{}}}
		})), "rfc3161Timestamps[0]"},
		{"many hashes", encode(t, with(hashes(bundle.MaxProofHashes+1))), "want at most 64"},
		{"no log id", encode(t, with(func(o object) { delete(firstEntry(o), "logId") })), "tlogEntries[0]: no logId"},
		{"no kind", encode(t, with(func(o object) { delete(firstEntry(o), "kindVersion") })), "no kindVersion"},
		{"no body", encode(t, with(func(o object) { delete(firstEntry(o), "canonicalizedBody") })), "no canonicalizedBody"},
		{"negative index", encode(t, with(func(o object) { firstEntry(o)["logIndex"] = "-1" })), "negative"},
		{"negative time", encode(t, with(func(o object) { firstEntry(o)["integratedTime"] = "-1" })), "negative"},
		{"no proof", encode(t, with(func(o object) { delete(firstEntry(o), "inclusionProof") })), "no inclusion proof"},
		{"proof without checkpoint", encode(t, with(func(o object) { delete(firstEntry(o)["inclusionProof"].(object), "checkpoint") })), "checkpoint is missing"},
		{"v0.1 without promise", encode(t, with(func(o object) {
			o["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.1"
			delete(firstEntry(o), "inclusionPromise")
		})), "no inclusion promise"},
		{"message without digest", encode(t, func() object { o := messageBundle(); delete(o["messageSignature"].(object), "messageDigest"); return o }()), "without messageDigest"},
		{"message without signature", encode(t, func() object { o := messageBundle(); delete(o["messageSignature"].(object), "signature"); return o }()), "signature is missing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b, err := bundle.Parse(test.data)
			if b != nil || err == nil || !strings.Contains(err.Error(), test.text) {
				t.Fatalf("got %v, want an error with %q", err, test.text)
			}
			// The same words each time, although protojson varies them.
			if _, again := bundle.Parse(test.data); again.Error() != err.Error() {
				t.Errorf("first %q, then %q", err, again)
			}
		})
	}
}

func TestUnverified(t *testing.T) {
	b, err := bundle.Parse(encode(t, keyBundle()))
	if err != nil {
		t.Fatal(err)
	}
	u, err := b.Unverified()
	if err != nil || u.PayloadType != "text/plain" || string(u.Payload) != "payload" || u.KeyHint != "which" || u.Timestamps != 1 || u.Certificate != nil || u.MessageDigest != "" ||
		len(u.LogEntries) != 1 || u.LogEntries[0] != (bundle.UnverifiedLogEntry{LogID: "6c6f67", Index: 7, Kind: "dsse", Version: "0.0.1", IntegratedTime: 1700000000}) {
		t.Errorf("%v, %+v", err, u)
	}
	if b, err = bundle.Parse(encode(t, messageBundle())); err != nil {
		t.Fatal(err)
	}
	if u, err = b.Unverified(); err != nil || u.MessageDigest != "sha256:646967657374" || u.Payload != nil {
		t.Errorf("%v, %+v", err, u)
	}
	bad := with(func(o object) {
		delete(material(o), "publicKey")
		material(o)["certificate"] = object{"rawBytes": b64("no DER")}
	})
	if b, err = bundle.Parse(encode(t, bad)); err != nil {
		t.Fatal(err)
	}
	if u, err = b.Unverified(); err == nil || string(u.Payload) != "payload" {
		t.Errorf("%v, %+v", err, u)
	}
	var zero bundle.Bundle
	if u, err := zero.Unverified(); err != nil || u.Payload != nil || zero.Version() != "" {
		t.Errorf("the zero bundle says %+v, %v", u, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(encode(f, keyBundle()))
	f.Add(encode(f, messageBundle()))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := bundle.Parse(data)
		if err != nil {
			return
		}
		if !bytes.Equal(b.Bytes(), data) || b.Version() == "" {
			t.Fatal("a bundle without its bytes or version")
		}
		u, _ := b.Unverified()
		if (u.Payload == nil) == (u.MessageDigest == "") {
			t.Errorf("not exactly one content: %+v", u)
		}
	})
}

func Example() {
	_, err := bundle.Parse([]byte(`{"mediaType": "application/json"}`))
	fmt.Println(err)
	// Output: bundle: media type "application/json", want a Sigstore bundle v0.1 to v0.3 such as application/vnd.dev.sigstore.bundle.v0.3+json
}
