package relay

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
)

// reviewTimeout bounds a question to the API server.
const reviewTimeout = 10 * time.Second

// nodeClaim is where the API server tells the node of the pod that a token is
// bound to (Kubernetes 1.32 and newer).
const nodeClaim = "authentication.kubernetes.io/node-name"

// gate checks who opens a line.
type gate struct {
	reviews authenticationclient.TokenReviewInterface
	agents  []string // namespace/name of the service accounts that agents have
}

// check returns nil where the line's token is that of an agent of the node.
// Why a token is refused is not told in more detail than the agent's owner
// needs: the API server's own words stay here.
func (g *gate) check(ctx context.Context, node string) error {
	token := ""
	if md, ok := metadata.FromIncomingContext(ctx); ok && len(md.Get("authorization")) == 1 {
		token, _ = strings.CutPrefix(md.Get("authorization")[0], "Bearer ")
	}
	if token == "" {
		return status.Error(codes.Unauthenticated, "no token was shown")
	}
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	review, err := g.reviews.Create(ctx, &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{Audience}},
	}, metav1.CreateOptions{})
	if err != nil {
		return status.Errorf(codes.Unavailable, "the token can't be checked now: %v", err)
	}
	if !review.Status.Authenticated || !slices.Contains(review.Status.Audiences, Audience) {
		return status.Error(codes.Unauthenticated, "the API server does not know the token for this audience")
	}
	user := review.Status.User
	account, ok := strings.CutPrefix(user.Username, "system:serviceaccount:")
	account = strings.Replace(account, ":", "/", 1)
	if !ok || !slices.Contains(g.agents, account) {
		return status.Error(codes.PermissionDenied, fmt.Sprintf("%s is not the service account of an agent", user.Username))
	}
	// A token of an older API server names no node: then the account must do.
	if of := user.Extra[nodeClaim]; len(of) > 0 && !slices.Contains(of, node) {
		return status.Error(codes.PermissionDenied, fmt.Sprintf("the token is of node %s and does not speak for %s", strings.Join(of, ", "), node))
	}
	return nil
}
