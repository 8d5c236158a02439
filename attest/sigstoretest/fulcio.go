package sigstoretest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// signingRequest is Fulcio's CreateSigningCertificateRequest (v2).
type signingRequest struct {
	Credentials struct {
		OIDCIdentityToken string `json:"oidcIdentityToken"`
	} `json:"credentials"`
	PublicKeyRequest *struct {
		PublicKey struct {
			Algorithm string `json:"algorithm"`
			Content   string `json:"content"`
		} `json:"publicKey"`
		ProofOfPossession []byte `json:"proofOfPossession"`
	} `json:"publicKeyRequest"`
	CertificateSigningRequest []byte `json:"certificateSigningRequest"`
}

func (s *Sigstore) fulcio() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v2/signingCert", func(w http.ResponseWriter, r *http.Request) {
		var req signingRequest
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
			fulcioError(w, http.StatusBadRequest, 3, err)
			return
		}
		token := req.Credentials.OIDCIdentityToken
		if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			token = bearer
		}
		claims, err := s.oidc.verify(token, s.opts.Now())
		if err != nil {
			fulcioError(w, http.StatusUnauthorized, 16, fmt.Errorf("the identity token cannot be verified: %w", err))
			return
		}
		id, err := identify(claims)
		if err != nil {
			fulcioError(w, http.StatusBadRequest, 3, err)
			return
		}
		pub, err := req.possessed(claims)
		if err != nil {
			fulcioError(w, http.StatusBadRequest, 3, err)
			return
		}
		leaf, err := s.leaf(id, pub)
		if err != nil {
			fulcioError(w, http.StatusInternalServerError, 13, err)
			return
		}
		kind := "signedCertificateEmbeddedSct"
		if s.opts.NoSCT {
			kind = "signedCertificateDetachedSct"
		}
		writeJSON(w, http.StatusOK, map[string]any{kind: map[string]any{"chain": map[string]any{
			"certificates": []string{certificatePEM(leaf), certificatePEM(s.ca.intermediate), certificatePEM(s.ca.root)},
		}}})
	})
	mux.HandleFunc("GET /api/v2/trustBundle", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{"chains": []any{map[string]any{
			"certificates": []string{certificatePEM(s.ca.intermediate), certificatePEM(s.ca.root)},
		}}})
	})
	mux.HandleFunc("GET /api/v2/configuration", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{"issuers": []any{map[string]any{
			"issuerUrl": s.oidc.url, "audience": "sigstore", "challengeClaim": "sub",
		}}})
	})
	return mux
}

func fulcioError(w http.ResponseWriter, status, code int, err error) {
	writeJSON(w, status, map[string]any{"code": code, "message": err.Error(), "details": []any{}})
}

func certificatePEM(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

// possessed returns the public key, once its holder has proven to have the
// private one: by a signing request, or by a signature over the subject.
func (r *signingRequest) possessed(claims Claims) (crypto.PublicKey, error) {
	if len(r.CertificateSigningRequest) > 0 {
		block, _ := pem.Decode(r.CertificateSigningRequest)
		if block == nil {
			return nil, errors.New("the certificate signing request is not PEM")
		}
		csr, err := x509.ParseCertificateRequest(block.Bytes)
		if err != nil {
			return nil, err
		}
		return csr.PublicKey, csr.CheckSignature()
	}
	if r.PublicKeyRequest == nil {
		return nil, errors.New("neither publicKeyRequest nor certificateSigningRequest")
	}
	block, _ := pem.Decode([]byte(r.PublicKeyRequest.PublicKey.Content))
	if block == nil {
		return nil, errors.New("the public key is not PEM")
	}
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	subject := claims.text("sub")
	if claims["email_verified"] == true {
		subject = claims.text("email")
	}
	if !signedBy(pub, []byte(subject), r.PublicKeyRequest.ProofOfPossession) {
		return nil, errors.New("the proof of possession is not a signature over the subject")
	}
	return pub, nil
}

func signedBy(pub crypto.PublicKey, message, sig []byte) bool {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		var digest []byte
		switch k.Curve.Params().BitSize {
		case 384:
			d := sha512.Sum384(message)
			digest = d[:]
		case 521:
			d := sha512.Sum512(message)
			digest = d[:]
		default:
			d := sha256.Sum256(message)
			digest = d[:]
		}
		return ecdsa.VerifyASN1(k, digest, sig)
	case ed25519.PublicKey:
		return ed25519.Verify(k, message, sig)
	case *rsa.PublicKey:
		digest := sha256.Sum256(message)
		return rsa.VerifyPKCS1v15(k, crypto.SHA256, digest[:], sig) == nil
	}
	return false
}
