package predicate

import (
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/internal/strictjson"
)

// The type URIs of provenance. ProvenanceV1 is written.
const (
	ProvenanceV1  = "https://slsa.dev/provenance/v1"
	ProvenanceV02 = "https://slsa.dev/provenance/v0.2"

	provenanceV10 = "https://slsa.dev/provenance/v1.0" // written by some tools for v1
)

// MaxDependencies limits resolvedDependencies, byproducts and materials.
const MaxDependencies = 20_000

// Provenance is SLSA build provenance v1: how, by whom and from what an
// artifact was built. Absent, null and empty fields are the same. It
// implements [attest.Predicate].
type Provenance struct {
	BuildDefinition BuildDefinition `json:"buildDefinition"`
	RunDetails      RunDetails      `json:"runDetails"`
}

// BuildDefinition is what the build was asked to do.
type BuildDefinition struct {
	BuildType            string                      `json:"buildType"`                      // required: an absolute URI
	ExternalParameters   json.RawMessage             `json:"externalParameters"`             // required: a JSON object with at least one member
	InternalParameters   json.RawMessage             `json:"internalParameters,omitempty"`   // a JSON object
	ResolvedDependencies []attest.ResourceDescriptor `json:"resolvedDependencies,omitempty"` // each with a uri, digest or content
}

// RunDetails is how this build ran.
type RunDetails struct {
	Builder    Builder                     `json:"builder"`
	Metadata   *Metadata                   `json:"metadata,omitempty"`
	Byproducts []attest.ResourceDescriptor `json:"byproducts,omitempty"`
}

// Builder is who built.
type Builder struct {
	ID                  string                      `json:"id"` // required: an absolute URI
	BuilderDependencies []attest.ResourceDescriptor `json:"builderDependencies,omitempty"`
	Version             map[string]string           `json:"version,omitempty"`
}

// Metadata is about the run. Times are RFC 3339; write them with Z.
type Metadata struct {
	InvocationID string `json:"invocationId,omitempty"`
	StartedOn    string `json:"startedOn,omitempty"`
	FinishedOn   string `json:"finishedOn,omitempty"`
}

// PredicateType implements [attest.Predicate].
func (p *Provenance) PredicateType() string { return ProvenanceV1 }

// EncodePredicate implements [attest.Predicate]. The error is an [*Error] with
// the path of the field.
func (p *Provenance) EncodePredicate() ([]byte, error) {
	if p == nil {
		return nil, &Error{ProvenanceV1, "predicate", "nil"}
	}
	c := &checker{typ: ProvenanceV1}
	p.check(c)
	if k := strictjson.KindOf(p.BuildDefinition.ExternalParameters); k != strictjson.Map {
		c.fail("buildDefinition.externalParameters", "%s, want an object", k)
	} else if members, err := strictjson.Object(p.BuildDefinition.ExternalParameters); err != nil || len(members) == 0 {
		c.fail("buildDefinition.externalParameters", "empty: it is what a verifier compares, so name at least the source")
	}
	for _, raw := range []struct {
		path string
		json json.RawMessage
	}{{"externalParameters", p.BuildDefinition.ExternalParameters}, {"internalParameters", p.BuildDefinition.InternalParameters}} {
		if len(raw.json) > 0 {
			if err := strictjson.Check(raw.json, attest.MaxDepth); err != nil {
				c.fail("buildDefinition."+raw.path, "%v", err)
			}
		}
	}
	if m := p.RunDetails.Metadata; m != nil {
		started, finished := utc(c, "startedOn", m.StartedOn), utc(c, "finishedOn", m.FinishedOn)
		if !started.IsZero() && !finished.IsZero() && finished.Before(started) {
			c.fail("runDetails.metadata.finishedOn", "%s, before startedOn %s", m.FinishedOn, m.StartedOn)
		}
	}
	checkDescriptors(c, "buildDefinition.resolvedDependencies", p.BuildDefinition.ResolvedDependencies)
	checkDescriptors(c, "runDetails.builder.builderDependencies", p.RunDetails.Builder.BuilderDependencies)
	if c.err != nil {
		return nil, c.err
	}
	raw, err := strictjson.Marshal(p)
	if err != nil {
		return nil, &Error{ProvenanceV1, "predicate", err.Error()}
	}
	return raw, nil
}

// check is what holds for every provenance, written or read.
func (p *Provenance) check(c *checker) {
	absolute(c, "buildDefinition.buildType", p.BuildDefinition.BuildType)
	absolute(c, "runDetails.builder.id", p.RunDetails.Builder.ID)
	limit(c, "buildDefinition.resolvedDependencies", len(p.BuildDefinition.ResolvedDependencies))
	limit(c, "runDetails.builder.builderDependencies", len(p.RunDetails.Builder.BuilderDependencies))
	limit(c, "runDetails.byproducts", len(p.RunDetails.Byproducts))
	if k := strictjson.KindOf(p.BuildDefinition.InternalParameters); k != strictjson.Map && k != strictjson.Null && k != strictjson.Invalid {
		c.fail("buildDefinition.internalParameters", "%s, want an object", k)
	}
}

func limit(c *checker, path string, n int) {
	if n > MaxDependencies {
		c.fail(path, "%d entries, want at most %d", n, MaxDependencies)
	}
}

func absolute(c *checker, path, uri string) {
	if uri == "" {
		c.fail(path, "required")
		return
	}
	if u, err := url.Parse(uri); err != nil || u.Scheme == "" {
		c.fail(path, "%.128q, want an absolute URI", uri)
	}
}

// utc reads a time that is to be written.
func utc(c *checker, name, s string) time.Time {
	if s == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || !strings.HasSuffix(s, "Z") {
		c.fail("runDetails.metadata."+name, "%.64q, want RFC 3339 with Z", s)
	}
	return t
}

func checkDescriptors(c *checker, path string, list []attest.ResourceDescriptor) {
	for i, d := range list {
		if d.URI == "" && len(d.Digest) == 0 && d.Content == "" {
			c.fail(at(path, i), "no uri, digest or content")
		}
		for name, value := range d.Digest {
			if name == "" || value == "" || strings.ToLower(value) != value {
				c.fail(at(path, i)+".digest", "%.32q: %.140q, want lower-case hexadecimal", name, value)
			}
		}
	}
}

// ParseProvenance reads provenance v1 from a predicate's JSON. The predicate type
// decides, never the shape: another type is an error. So are a field of the
// wrong type, a missing builder.id or buildType, external parameters that are
// no object, and more than [MaxDependencies]. The error is an [*Error].
func ParseProvenance(predicateType string, raw []byte) (*Provenance, error) {
	if predicateType != ProvenanceV1 && predicateType != provenanceV10 {
		return nil, &Error{predicateType, "predicateType", "want " + ProvenanceV1}
	}
	p := new(Provenance)
	if err := decode(ProvenanceV1, raw, p); err != nil {
		return nil, err
	}
	c := &checker{typ: ProvenanceV1}
	p.check(c)
	switch k := strictjson.KindOf(p.BuildDefinition.ExternalParameters); k {
	case strictjson.Map:
	case strictjson.Null, strictjson.Invalid:
		p.BuildDefinition.ExternalParameters = nil
	default:
		c.fail("buildDefinition.externalParameters", "%s, want an object", k)
	}
	if c.err != nil {
		return nil, c.err
	}
	return p, nil
}
