package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/attest/predicate"
	"github.com/hallmark-dev/hallmark/verify/evidence"
)

// CatalogueVersion names the build types that this version knows, and what it
// knows about them. A decision depends on it.
const CatalogueVersion = "1"

// A buildType is what the catalogue knows about one build type: where its
// provenance names the source, and what its signer ties to it.
type buildType struct {
	uri    string
	prefix bool // uri is a prefix, and suffix the end
	suffix string

	// builder gives the builder.ids that fit the certificate; nil means that
	// none is tied, and a policy has to write it.
	builder func(*evidence.Certificate) []string
	// locate finds the source; nil means that a policy has to say source.at.
	locate func(*claims, *evidence.Certificate) (source, error)
	// outside names the members of the external parameters that are the source,
	// and therefore no parameters.
	outside []string
	// bound tells that a policy may leave parameters out: what is bound to the
	// source must then equal the certificate, and nothing else may be there.
	bound bool
}

// catalogue follows the published documents of each build type.
var catalogue = []buildType{
	{uri: "https://actions.github.io/buildtypes/workflow/v1", builder: signerURI, locate: githubWorkflow, bound: true},
	{uri: "https://slsa-framework.github.io/github-actions-buildtypes/workflow/v1", builder: githubRunner, locate: githubWorkflow, bound: true},
	{uri: "https://github.com/npm/cli/gha/v2", builder: npmRunner, locate: configSource, bound: true},
	{uri: "https://github.com/npm/cli/gha@v1", builder: npmRunner, locate: configSourceRefOptional, bound: true},
	{uri: "https://github.com/slsa-framework/slsa-github-generator/go@v1", builder: signerURI, locate: configSource, bound: true},
	{uri: "https://github.com/slsa-framework/slsa-github-generator/generic@v1", builder: signerURI, locate: configSource, bound: true},
	{uri: "https://github.com/slsa-framework/slsa-github-generator/container@v1", builder: signerURI, locate: configSource, bound: true},
	{uri: "https://github.com/slsa-framework/slsa-github-generator@v1", builder: signerURI, locate: configSource, bound: true},
	{uri: "https://github.com/slsa-framework/slsa-github-generator-go@v1", builder: signerURI, locate: configSource, bound: true},
	{uri: "https://slsa.dev/container-based-build/v0.1?draft", builder: signerURI, locate: containerBased, outside: []string{"source"}},
	{uri: "https://github.com/slsa-framework/slsa-github-generator/delegator-generic@v0", locate: delegator},
	// The entry point is a job, which no certificate names: it needs an address.
	{uri: "https://gitlab.com/gitlab-org/gitlab-runner/-/blob/", prefix: true, suffix: "/PROVENANCE.md", locate: gitlabRunner, outside: []string{"source"}},
	{uri: "https://tekton.dev/chains/v2/slsa"},
	{uri: "https://tekton.dev/chains/v2/slsa-tekton"},
	{uri: "https://cloud.google.com/build/gcb-buildtypes/google-builder/v1", locate: cloudBuild, outside: []string{"buildConfigSource"}},
	{uri: "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md", locate: buildKit, outside: []string{"configSource"}},
	{uri: "https://mobyproject.org/buildkit@v1", locate: buildKit},
}

// catalogued returns what is known about a build type, or nil.
func catalogued(uri string) *buildType {
	for i, t := range catalogue {
		if t.uri == uri && !t.prefix {
			return &catalogue[i]
		}
		if t.prefix {
			rest, ok := strings.CutPrefix(uri, t.uri)
			if version, ok2 := strings.CutSuffix(rest, t.suffix); ok && ok2 && version != "" && !strings.Contains(version, "/") {
				return &catalogue[i]
			}
		}
	}
	return nil
}

func isProvenance(predicateType string) bool {
	switch predicateType {
	case predicate.ProvenanceV1, predicate.ProvenanceV02, "https://slsa.dev/provenance/v1.0":
		return true
	}
	return false
}

// claims is what a provenance predicate says, of either version.
type claims struct {
	v1        *predicate.Provenance
	v02       *predicate.BuildV02
	buildType string
	builderID string
	external  json.RawMessage // external parameters, or the invocation's parameters
}

// A claimMemo parses a predicate once, however many rules look at it.
type claimMemo struct {
	once   sync.Once
	claims *claims
	err    error
}

func (m *claimMemo) get(st *attest.Statement) (*claims, error) {
	m.once.Do(func() { m.claims, m.err = readClaims(st) })
	return m.claims, m.err
}

func readClaims(st *attest.Statement) (*claims, error) {
	if st.PredicateType() == predicate.ProvenanceV02 {
		p, err := predicate.ParseProvenanceV02(st.Predicate())
		if err != nil {
			return nil, err
		}
		return &claims{v02: p, buildType: p.BuildType, builderID: p.Builder.ID, external: p.Invocation.Parameters}, nil
	}
	p, err := predicate.ParseProvenance(st.PredicateType(), st.Predicate())
	if err != nil {
		return nil, err
	}
	d := p.BuildDefinition
	return &claims{v1: p, buildType: d.BuildType, builderID: p.RunDetails.Builder.ID, external: d.ExternalParameters}, nil
}

// A source is what the predicate says the artifact was built from.
type source struct {
	named       bool // false: this build type names none, and the policy asked for none
	repo        string
	ref         string
	refOptional bool // the certificate's ref may stand in for an absent one
	commit      string
	entry       string
	hasEntry    bool
}

func (c *claims) locate(t *buildType, at *dependencyAt, cert *evidence.Certificate) (source, error) {
	switch {
	case at != nil && t != nil && t.locate != nil:
		return source{}, errors.New("source.at is written, and this build type has its own place for the source")
	case at != nil:
		return c.locateAt(at)
	case t == nil || t.locate == nil:
		return source{}, nil
	}
	return t.locate(c, cert)
}

// locateAt finds the one resolved dependency that a policy points at.
func (c *claims) locateAt(at *dependencyAt) (source, error) {
	if c.v1 == nil {
		return source{}, errors.New("source.at needs provenance v1")
	}
	var hits []attest.ResourceDescriptor
	for _, d := range c.v1.BuildDefinition.ResolvedDependencies {
		if at.uri != nil && at.uri.match(d.URI) || at.uri == nil && d.Name == at.name {
			hits = append(hits, d)
		}
	}
	if len(hits) != 1 {
		return source{}, fmt.Errorf("%d resolved dependencies are %s, want exactly one", len(hits), at.source)
	}
	return fromURI(hits[0].URI, hits[0].Digest, false)
}
