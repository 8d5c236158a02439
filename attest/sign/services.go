package sign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/go-openapi/strfmt"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	rekortiles "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"github.com/sigstore/rekor/pkg/generated/client/entries"
	"github.com/sigstore/rekor/pkg/generated/models"
	"github.com/sigstore/sigstore-go/pkg/root"
	sgsign "github.com/sigstore/sigstore-go/pkg/sign"
	"google.golang.org/protobuf/encoding/protojson"
)

// checkURL accepts an absolute http or https URL without user-info or query.
func checkURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("service URL %.200q, want https://HOST/…", s)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("service URL with user-info, query or fragment at host %.100q", u.Host)
	}
	return nil
}

// selectServices picks services as the signing config says: the highest API
// version with a valid service, the newest of each operator, then ALL, ANY or
// EXACT of them.
func (s *Signer) selectServices() error {
	c := &s.cfg
	if c.Fulcio != "" || len(c.RekorV1)+len(c.RekorV2)+len(c.TSA) > 0 {
		return errors.New("given beside URLs: want one of the two")
	}
	if c.Now == nil {
		return errors.New("needs Now, to choose the services that are valid")
	}
	config, err := root.NewSigningConfigFromJSON(c.SigningConfig)
	if err != nil {
		return err
	}
	now := c.Now()
	if c.Token != nil {
		ca, err := root.SelectService(config.FulcioCertificateAuthorityURLs(), sgsign.FulcioAPIVersions, now)
		if err != nil {
			return fmt.Errorf("certificate authority: %w", err)
		}
		c.Fulcio = ca.URL
	}
	if services := config.RekorLogURLs(); len(services) > 0 {
		logs, err := root.SelectServices(services, config.RekorLogURLsConfig(), sgsign.RekorAPIVersions, now)
		if err != nil {
			return fmt.Errorf("logs: %w", err)
		}
		for _, l := range logs {
			if l.MajorAPIVersion == 2 {
				c.RekorV2 = append(c.RekorV2, l.URL)
			} else {
				c.RekorV1 = append(c.RekorV1, l.URL)
			}
		}
	}
	if services := config.TimestampAuthorityURLs(); len(services) > 0 {
		authorities, err := root.SelectServices(services, config.TimestampAuthorityURLsConfig(), sgsign.TimestampAuthorityAPIVersions, now)
		if err != nil {
			return fmt.Errorf("timestamp authorities: %w", err)
		}
		for _, a := range authorities {
			c.TSA = append(c.TSA, a.URL)
		}
	}
	return nil
}

// keypair shows a Key to sigstore-go's Fulcio client.
type keypair struct {
	key Key
	alg algorithm
	err *error // of the last signature
}

func (k keypair) GetHashAlgorithm() protocommon.HashAlgorithm { return k.alg.proto }

func (k keypair) GetSigningAlgorithm() protocommon.PublicKeyDetails {
	return protocommon.PublicKeyDetails_PUBLIC_KEY_DETAILS_UNSPECIFIED
}

func (k keypair) GetHint() []byte { return nil }

func (k keypair) GetKeyAlgorithm() string { return k.alg.name }

func (k keypair) GetPublicKey() crypto.PublicKey { return k.key.Public() }

func (k keypair) GetPublicKeyPem() (string, error) {
	der, err := x509.MarshalPKIXPublicKey(k.key.Public())
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), err
}

func (k keypair) SignData(ctx context.Context, data []byte) ([]byte, []byte, error) {
	sig, err := k.alg.sign(ctx, k.key, data)
	*k.err = err
	return sig, nil, err
}

func (s *Signer) certificate(ctx context.Context, key Key, alg algorithm) (*x509.Certificate, error) {
	token, err := s.cfg.Token(ctx)
	if err != nil {
		return nil, fmt.Errorf("identity token: %w", err)
	}
	if strings.Count(token, ".") != 2 || strings.ContainsAny(token, " \r\n") {
		return nil, errors.New("identity token: not a JWT of three parts joined by dots")
	}
	claims, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil || !json.Valid(claims) {
		return nil, errors.New("identity token: not a JWT, as its second part is no JSON in base64url")
	}
	var failed error
	fulcio := sgsign.NewFulcio(&sgsign.FulcioOptions{BaseURL: strings.TrimSuffix(s.cfg.Fulcio, "/"), Timeout: -1,
		Transport: s.caller(ctx, "Fulcio")})
	der, err := fulcio.GetCertificate(ctx, keypair{key, alg, &failed}, &sgsign.CertificateProviderOptions{IDToken: token})
	if err == nil {
		var cert *x509.Certificate
		if cert, err = x509.ParseCertificate(der); err == nil {
			return cert, nil
		}
	}
	if failed != nil {
		return nil, fmt.Errorf("proof of possession of the key: %w", failed)
	}
	return nil, asService(err, "Fulcio", s.cfg.Fulcio)
}

// asService makes sure that an error names its service.
func asService(err error, service, url string) error {
	var known *ServiceError
	if errors.As(err, &known) {
		return known
	}
	return &ServiceError{Service: service, URL: url, Err: fmt.Errorf("%w: %v", errInvalid, err)}
}

func (s *Signer) timestamp(ctx context.Context, m *protobundle.VerificationMaterial, sig []byte) error {
	for _, u := range s.cfg.TSA {
		tsa := sgsign.NewTimestampAuthority(&sgsign.TimestampAuthorityOptions{URL: u, Timeout: -1, Transport: s.caller(ctx, "timestamp authority")})
		token, err := tsa.GetTimestamp(ctx, sig)
		if err != nil {
			return asService(err, "timestamp authority", u)
		}
		if m.TimestampVerificationData == nil {
			m.TimestampVerificationData = &protobundle.TimestampVerificationData{}
		}
		data := m.TimestampVerificationData
		data.Rfc3161Timestamps = append(data.Rfc3161Timestamps, &protocommon.RFC3161SignedTimestamp{SignedTimestamp: token})
	}
	return nil
}

func (s *Signer) log(ctx context.Context, b *protobundle.Bundle, verifierPEM []byte) error {
	for _, u := range s.cfg.RekorV1 {
		client := &rekorV1{u, s.caller(ctx, "Rekor v1", http.StatusConflict)}
		rekor := sgsign.NewRekor(&sgsign.RekorOptions{BaseURL: u, Client: client, Version: 1})
		if err := rekor.GetTransparencyLogEntry(ctx, verifierPEM, b); err != nil {
			return asService(err, "Rekor v1", u)
		}
	}
	for _, u := range s.cfg.RekorV2 {
		client := &rekorV2{u, s.caller(ctx, "Rekor v2", http.StatusConflict)}
		rekor := sgsign.NewRekor(&sgsign.RekorOptions{BaseURL: u, ClientV2: client, Version: 2})
		if err := rekor.GetTransparencyLogEntry(ctx, verifierPEM, b); err != nil {
			if errors.Is(err, errConflict) {
				return err
			}
			return asService(err, "Rekor v2", u)
		}
	}
	return nil
}

// rekorV1 is the part of Rekor's API that signing needs, over our transport.
type rekorV1 struct {
	base string
	http *caller
}

// do sends a request whose connection errors, statuses and size the caller has
// dealt with.
func (c *caller) do(method, url string, body []byte) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(c.ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	resp, err := c.RoundTrip(req)
	if err != nil {
		return nil, nil, err
	}
	data, err := io.ReadAll(resp.Body)
	return resp, data, err
}

// CreateLogEntry implements sigstore-go's RekorClient. An entry that exists
// already is fetched.
func (r *rekorV1) CreateLogEntry(p *entries.CreateLogEntryParams, _ ...entries.ClientOption) (*entries.CreateLogEntryCreated, error) {
	body, err := json.Marshal(p.ProposedEntry)
	if err != nil {
		return nil, err
	}
	resp, data, err := r.http.do(http.MethodPost, join(r.base, "/api/v1/log/entries"), body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusConflict {
		uuid := path.Base(resp.Header.Get("Location"))
		got, err := r.GetLogEntryByUUID(&entries.GetLogEntryByUUIDParams{EntryUUID: uuid})
		if err != nil {
			return nil, err
		}
		return created(got.Payload)
	}
	var payload models.LogEntry
	if err := json.Unmarshal(data, &payload); err != nil {
		return nil, err
	}
	return created(payload)
}

// created expects exactly one entry, with all that a bundle needs.
func created(payload models.LogEntry) (*entries.CreateLogEntryCreated, error) {
	if len(payload) != 1 {
		return nil, fmt.Errorf("%d entries, want one", len(payload))
	}
	for uuid, e := range payload {
		if err := e.Validate(strfmt.Default); err != nil {
			return nil, err
		}
		v := e.Verification
		if e.LogIndex == nil || e.LogID == nil || e.IntegratedTime == nil || v == nil || v.InclusionProof == nil ||
			v.InclusionProof.Checkpoint == nil || v.InclusionProof.RootHash == nil || v.InclusionProof.TreeSize == nil || v.InclusionProof.LogIndex == nil {
			return nil, errors.New("an entry without index, time or inclusion proof")
		}
		return &entries.CreateLogEntryCreated{ETag: uuid, Payload: payload}, nil
	}
	panic("sign: unreachable")
}

// GetLogEntryByUUID implements sigstore-go's RekorClient.
func (r *rekorV1) GetLogEntryByUUID(p *entries.GetLogEntryByUUIDParams, _ ...entries.ClientOption) (*entries.GetLogEntryByUUIDOK, error) {
	if strings.Trim(p.EntryUUID, "0123456789abcdef") != "" || p.EntryUUID == "" {
		return nil, fmt.Errorf("entry UUID %.100q, want hexadecimal", p.EntryUUID)
	}
	_, data, err := r.http.do(http.MethodGet, join(r.base, "/api/v1/log/entries/"+p.EntryUUID), nil)
	if err != nil {
		return nil, err
	}
	var payload models.LogEntry
	if err := json.Unmarshal(data, &payload); err != nil {
		return nil, err
	}
	return &entries.GetLogEntryByUUIDOK{Payload: payload}, nil
}

func join(base, p string) string { return strings.TrimSuffix(base, "/") + p }

// errConflict is a Rekor v2 that has the signature already.
var errConflict = errors.New("the log has this signature already, and cannot be asked for its entry; an RSA key signs the same with the same")

type rekorV2 struct {
	base string
	http *caller
}

// Add implements sigstore-go's RekorV2Client.
func (r *rekorV2) Add(_ context.Context, entry any) (*protorekor.TransparencyLogEntry, error) {
	req, ok := entry.(*rekortiles.HashedRekordRequestV002)
	if !ok {
		return nil, fmt.Errorf("entry of type %T", entry)
	}
	body, err := protojson.Marshal(&rekortiles.CreateEntryRequest{
		Spec: &rekortiles.CreateEntryRequest_HashedRekordRequestV002{HashedRekordRequestV002: req},
	})
	if err != nil {
		return nil, err
	}
	resp, data, err := r.http.do(http.MethodPost, join(r.base, "/api/v2/log/entries"), body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusConflict {
		return nil, &ServiceError{Service: "Rekor v2", URL: r.base, Status: resp.StatusCode, Err: errConflict}
	}
	tle := new(protorekor.TransparencyLogEntry)
	if err := protojson.Unmarshal(data, tle); err != nil {
		return nil, err
	}
	return tle, nil
}

// distinct counts different strings.
func distinct(lists ...[]string) int {
	all := slices.Concat(lists...)
	slices.Sort(all)
	return len(slices.Compact(all))
}
