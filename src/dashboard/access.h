/* Who may: the password, where requests of a browser come from, and the hook's secrets. */
#ifndef DASHBOARD_ACCESS_H
#define DASHBOARD_ACCESS_H

#include <stdbool.h>

#include "base/attributes.h"
#include "config.h"
#include "server.h"

/* Basic authentication; always true where no password is configured. */
bool access_is_authorized(struct request *request, const struct dashboard_config *config);
/*
 * Could another site's page have made a browser send this? True for an Origin that is not this
 * host, and, where no password protects us, for a Host that is not this machine's own (a name that
 * somebody pointed at 127.0.0.1).
 */
bool access_is_cross_site(struct request *request, const struct dashboard_config *config);
/* The hook's path secret, in request->parameter; its body is not needed for that. */
bool access_is_hook_path(struct request *request, const struct dashboard_config *config);
/* GitHub's signature of the body; true where no github-secret-file is configured. */
bool access_is_signed(struct request *request, const struct dashboard_config *config);

#endif
