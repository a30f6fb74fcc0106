// Package e2e holds the end-to-end tests: real failures in a real cluster,
// told by the real program into a stand-in for Slack.
//
// The tests see Tapio as its users do: they run `tapio`, read its HTTP API and
// the messages in the workspace, and break and mend workloads with kubectl as
// a person would. They run under the build tag e2e (`make e2e`), bring up the
// test cluster of ../testbed, and take it down. Given -kubeconfig they use
// that cluster instead; what needs access to its nodes, or the registry of the
// test cluster, is then left out and listed. Every namespace they make has the
// label tapio-e2e and is deleted.
//
// What breaks and what must be told is data: testdata/causes holds a file for
// each cause, and testdata/README.md says how to write one.
package e2e
