/* How dialstack-agent wants PJSIP: small, quiet, IPv6 and SRTP on, and no look-up of the own host name. */
#define PJ_HAS_IPV6 1
#define PJMEDIA_HAS_SRTP 1
#define PJMEDIA_HAS_VIDEO 0
/* Wrong use is an error that Python sees, never an abort of the process: it may carry an emergency call. */
#define PJ_ENABLE_EXTRA_CHECK 1
/* More than the voice process ever uses at once; the default of 4 calls leaves no room for 911 under a stuck call. */
#define PJSUA_MAX_CALLS 8
#define PJSUA_MAX_ACC 16
/* A black-holed DNS server must not stall a call for 10 s while the own host name is looked up. */
#define PJ_GETHOSTIP_DISABLE_LOCAL_RESOLUTION 1
