// Package kubernetes holds the manifests of links, and tests of them that need
// Kubernetes' own types.
package kubernetes
