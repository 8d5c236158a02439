package sigstoretest

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/digitorus/timestamp"
)

const tsaPath = "/api/v1/timestamp"

var tsaPolicy = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 2}

// A tsa is a timestamp authority (RFC 3161) with a root and a signing
// certificate whose only, critical extended key usage is timestamping.
type tsa struct {
	root, leaf *x509.Certificate
	key        *signer
	url        string
	detached   bool
	keys       keyring
	now        func() time.Time
}

var (
	ekuOID          = asn1.ObjectIdentifier{2, 5, 29, 37}
	timestampingOID = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8}
)

func newTSA(keys keyring, n int, from, until time.Time, opts Options) (*tsa, error) {
	name := fmt.Sprintf("tsa %d", n)
	rootKey := keys.ecdsa384(name + " root")
	t := &tsa{key: keys.ecdsa384(name + " leaf"), detached: opts.DetachedTSA, keys: keys, now: opts.Now}
	var err error
	t.root, err = issue(&x509.Certificate{
		SerialNumber: keys.serial(name + " root"), Subject: pkix.Name{Organization: []string{"sigstoretest"}, CommonName: name + " root"},
		NotBefore: from, NotAfter: until, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}, nil, rootKey.Public(), rootKey)
	if err != nil {
		return nil, err
	}
	// crypto/x509 writes the extension as not critical, which RFC 3161 forbids.
	eku, err := asn1.Marshal([]asn1.ObjectIdentifier{timestampingOID})
	if err != nil {
		return nil, err
	}
	t.leaf, err = issue(&x509.Certificate{
		SerialNumber: keys.serial(name), Subject: pkix.Name{Organization: []string{"sigstoretest"}, CommonName: name},
		NotBefore: from, NotAfter: until, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{Id: ekuOID, Critical: true, Value: eku}},
	}, t.root, t.key.Public(), rootKey)
	return t, err
}

func (t *tsa) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+tsaPath, func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		req, err := timestamp.ParseRequest(raw)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		token, err := t.sign(req)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/timestamp-reply")
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(token)
	})
	mux.HandleFunc("GET "+tsaPath+"/certchain", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/pem-certificate-chain")
		_, _ = io.WriteString(w, certificatePEM(t.leaf)+certificatePEM(t.root))
	})
	return mux
}
