package evidence

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/hallmark-dev/hallmark/attest"
)

// A Certificate is what a Fulcio certificate says about its holder. The
// numbers are those of the object identifiers 1.3.6.1.4.1.57264.1.N
// (fulcio, docs/oid-info.md). Absent extensions are empty.
type Certificate struct {
	SPKI      attest.Digest // SHA-256 over the public key's PKIX DER encoding
	NotBefore time.Time
	NotAfter  time.Time
	SANs      []SAN

	Legacy Legacy // .1 to .6

	Issuer              string // .8
	BuildSignerURI      string // .9
	BuildSignerDigest   string // .10
	RunnerEnvironment   string // .11
	SourceRepositoryURI string // .12
	SourceDigest        string // .13
	SourceRef           string // .14
	SourceRepositoryID  string // .15
	SourceOwnerURI      string // .16
	SourceOwnerID       string // .17
	BuildConfigURI      string // .18
	BuildConfigDigest   string // .19
	BuildTrigger        string // .20
	RunInvocationURI    string // .21
	SourceVisibility    string // .22
	DeploymentEnv       string // .23
	TokenSubject        string // .24
}

// Legacy holds the deprecated extensions .1 to .6, which are raw strings.
type Legacy struct {
	Issuer     string // .1
	Trigger    string // .2
	SHA        string // .3
	Workflow   string // .4
	Repository string // .5, OWNER/NAME
	Ref        string // .6
}

// A SAN is one subject alternative name.
type SAN struct {
	Kind  string // "uri", "email", "dns", "ip" or "other" (Fulcio's OtherName, .7)
	Value string
}

// HasModern reports whether any of the extensions .8 to .24 is present. A
// certificate that has none must be read from its legacy ones.
func (c *Certificate) HasModern() bool {
	for _, field := range c.modern() {
		if *field != "" {
			return true
		}
	}
	return false
}

// modern maps the numbers of the extensions .8 to .24 to their fields.
func (c *Certificate) modern() map[int]*string {
	return map[int]*string{
		8: &c.Issuer, 9: &c.BuildSignerURI, 10: &c.BuildSignerDigest, 11: &c.RunnerEnvironment,
		12: &c.SourceRepositoryURI, 13: &c.SourceDigest, 14: &c.SourceRef, 15: &c.SourceRepositoryID,
		16: &c.SourceOwnerURI, 17: &c.SourceOwnerID, 18: &c.BuildConfigURI, 19: &c.BuildConfigDigest,
		20: &c.BuildTrigger, 21: &c.RunInvocationURI, 22: &c.SourceVisibility, 23: &c.DeploymentEnv, 24: &c.TokenSubject,
	}
}

var (
	fulcioArc = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1}
	sanOID    = asn1.ObjectIdentifier{2, 5, 29, 17}
)

// maxExtension limits the text of one extension, in bytes.
const maxExtension = 4096

// ReadUnverifiedCertificate reads what a certificate says, without any
// verification: a self-made certificate says whatever its maker likes. The
// verifier calls it on certificates whose chain it has checked. An extension
// that appears twice, is not valid UTF-8, is not a DER UTF8String where it
// should be, has bytes behind it or is longer than 4096 bytes is an error.
func ReadUnverifiedCertificate(cert *x509.Certificate) (*Certificate, error) {
	spki := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	digest, err := attest.NewDigest(attest.SHA256, spki[:])
	if err != nil {
		return nil, err
	}
	c := &Certificate{SPKI: digest, NotBefore: cert.NotBefore, NotAfter: cert.NotAfter}
	fields := c.modern()
	legacy := map[int]*string{
		1: &c.Legacy.Issuer, 2: &c.Legacy.Trigger, 3: &c.Legacy.SHA,
		4: &c.Legacy.Workflow, 5: &c.Legacy.Repository, 6: &c.Legacy.Ref,
	}
	seen := make(map[string]bool)
	for _, ext := range cert.Extensions {
		if ext.Id.Equal(sanOID) {
			if c.SANs, err = readSANs(ext.Value); err != nil {
				return nil, fmt.Errorf("evidence: subject alternative name: %w", err)
			}
			continue
		}
		if len(ext.Id) != len(fulcioArc)+1 || !slices.Equal(ext.Id[:len(fulcioArc)], fulcioArc) {
			continue
		}
		if seen[ext.Id.String()] {
			return nil, fmt.Errorf("evidence: certificate extension %s twice", ext.Id)
		}
		seen[ext.Id.String()] = true
		n := ext.Id[len(fulcioArc)]
		switch {
		case legacy[n] != nil:
			*legacy[n] = string(ext.Value)
			err = checkText(*legacy[n])
		case fields[n] != nil:
			*fields[n], err = utf8String(ext.Value)
			if err == nil && *fields[n] == "" {
				err = errors.New("empty")
			}
		}
		if err != nil {
			return nil, fmt.Errorf("evidence: certificate extension %s: %w", ext.Id, err)
		}
	}
	return c, nil
}

func utf8String(der []byte) (string, error) {
	var v asn1.RawValue
	rest, err := asn1.Unmarshal(der, &v)
	if err != nil {
		return "", err
	}
	if len(rest) > 0 {
		return "", errors.New("bytes behind the value")
	}
	if v.Class != asn1.ClassUniversal || v.Tag != asn1.TagUTF8String || v.IsCompound {
		return "", errors.New("not a DER UTF8String")
	}
	return string(v.Bytes), checkText(string(v.Bytes))
}

func checkText(s string) error {
	if len(s) > maxExtension {
		return fmt.Errorf("%d bytes, want at most %d", len(s), maxExtension)
	}
	if !utf8.ValidString(s) {
		return errors.New("invalid UTF-8")
	}
	return nil
}

// readSANs reads every GeneralName itself, because crypto/x509 drops the
// OtherName that Fulcio writes for user names.
func readSANs(der []byte) ([]SAN, error) {
	var seq asn1.RawValue
	rest, err := asn1.Unmarshal(der, &seq)
	if err != nil {
		return nil, err
	}
	if len(rest) > 0 || seq.Tag != asn1.TagSequence || !seq.IsCompound || seq.Class != asn1.ClassUniversal {
		return nil, errors.New("not a sequence")
	}
	var sans []SAN
	for rest = seq.Bytes; len(rest) > 0; {
		var v asn1.RawValue
		if rest, err = asn1.Unmarshal(rest, &v); err != nil {
			return nil, err
		}
		if v.Class != asn1.ClassContextSpecific {
			return nil, errors.New("not a GeneralName")
		}
		san := SAN{Value: string(v.Bytes)}
		switch v.Tag {
		case 0:
			san.Kind = "other"
			if san.Value, err = otherName(v.Bytes); err != nil {
				return nil, err
			}
		case 1:
			san.Kind = "email"
		case 2:
			san.Kind = "dns"
		case 6:
			san.Kind = "uri"
		case 7:
			san.Kind, san.Value = "ip", fmt.Sprintf("%x", v.Bytes)
		default:
			san.Kind, san.Value = "unsupported", fmt.Sprintf("tag %d", v.Tag)
		}
		if err := checkText(san.Value); err != nil {
			return nil, err
		}
		sans = append(sans, san)
	}
	return sans, nil
}

// otherName reads Fulcio's user name: OtherName with type .7 and a UTF8String.
func otherName(der []byte) (string, error) {
	var id asn1.ObjectIdentifier
	rest, err := asn1.Unmarshal(der, &id)
	if err != nil {
		return "", err
	}
	if want := append(slices.Clone(fulcioArc), 7); !id.Equal(want) {
		return "", fmt.Errorf("OtherName of type %s, want %s", id, want)
	}
	var value asn1.RawValue
	if rest, err = asn1.Unmarshal(rest, &value); err != nil {
		return "", err
	}
	if len(rest) > 0 || value.Class != asn1.ClassContextSpecific || value.Tag != 0 {
		return "", errors.New("malformed OtherName")
	}
	return utf8String(value.Bytes)
}
