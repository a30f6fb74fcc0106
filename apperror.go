package tapio

// AppError is derived by the engine from what a container said in its log or
// its termination message: one kind of error against one thing. Reason is the
// class of the error ("auth_failed"), Message the line that says it, Count how
// often the log does.
const AppError EventType = "app.error"

// KindHost is the kind of a name or address that is called and is no object
// of the cluster that is known.
const KindHost Kind = "Host"

// Keys of Event.Attrs of an [AppError], beside AttrKind and AttrObject, which
// name the Service or Host that is called, AttrPeerService where it is called in
// vain, and AttrResource of a refusal by the API server. What the log does not
// say is absent.
const (
	AttrPeer          = "peer"            // host that is called, as the log names it
	AttrPort          = "port"            // its port; of address_in_use the port that is taken
	AttrSystem        = "system"          // what kind of peer it is: MySQL, Redis, …
	AttrConfirmed     = "confirmed"       // "true" where that Service has no ready endpoint
	AttrRecurring     = "recurring"       // "true" where the log says it again and again up to its end
	AttrUser          = "user"            // whom the client said to be
	AttrDatabase      = "database"        //
	AttrPath          = "path"            // file or folder
	AttrMissing       = "missing"         // module, setting, file or table that is lacking
	AttrVerb          = "verb"            // of a refusal by the API server
	AttrAccount       = "account"         // namespace/name of the service account
	AttrVolume        = "volume"          // volume that the path is on
	AttrClaim         = "claim"           // name of the claim behind the volume
	AttrReadOnlyMount = "read_only_mount" // "true" where the pod asks for the volume to be read-only
	AttrOrigin        = "origin"          // where the credential or address comes from: "Secret db, key password (variable DB_PASSWORD)"
)

// The causes that an application's own words can tell.
const (
	CauseUnreachable      Cause = "dependency.unreachable"
	CauseAuthFailed       Cause = "dependency.auth_failed"
	CauseExhausted        Cause = "dependency.exhausted"
	CauseReadOnly         Cause = "dependency.readonly"
	CauseNameNotFound     Cause = "dependency.name_not_found"
	CauseRBACDenied       Cause = "config.rbac_denied"
	CausePortConflict     Cause = "container.port_conflict"
	CauseReadOnlyRoot     Cause = "container.readonly_filesystem"
	CauseVolumePermission Cause = "storage.permission_denied"
	CauseVolumeFull       Cause = "storage.volume_full"
	CauseVolumeReadOnly   Cause = "storage.readonly"
)

// RankDependency is the rank of what somebody who is called does to those who
// call: more upstream than the fault of the container that it makes fail.
const RankDependency Rank = "dependency"

// Keys of Story.Facts of a cause that an application's words tell.
const (
	FactClass     = "class"     // of the error
	FactPeer      = "peer"      // who is called, as the log names it
	FactPort      = "port"      //
	FactSystem    = "system"    // MySQL, Redis, …
	FactUser      = "user"      //
	FactDatabase  = "database"  //
	FactPath      = "path"      //
	FactMissing   = "missing"   //
	FactVerb      = "verb"      //
	FactAccount   = "account"   // name of the service account
	FactVolume    = "volume"    //
	FactClaim     = "claim"     //
	FactOrigin    = "origin"    // where the credential or address comes from
	FactConfirmed = "confirmed" // "true"
)
