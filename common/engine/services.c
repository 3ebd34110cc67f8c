#include "engine/services.h"

#include "base/log.h"
#include "engine/state.h"

void
services_apply(struct services *services)
{
	const struct worker_config *config = services->config;
	log_set_level(log_level_from_name(config->log_level));
	services->dashboard = (struct dashboard_access){
	    .url = config->dashboard_url,
	    .username = config->dashboard_username,
	    .password = config->dashboard_password.value,
	    .ca_file = config->dashboard_ca_file};
	credentials_forget(services->credentials);
}

static bool
open_queue(struct services *services, struct failure *why)
{
	const struct worker_config *config = services->config;
	const struct queue_access access = {.loop = services->loop,
	                                    .client = services->http,
	                                    .dashboard = &services->dashboard,
	                                    .names = &config->queues,
	                                    .worker = services->name,
	                                    .lease_ms = config->queue_lease,
	                                    .credentials = services->credentials,
	                                    .endpoint = config->queue_endpoint,
	                                    .region = worker_queue_region(config),
	                                    .ca_file = config->queue_ca_file,
	                                    .hide_limit_ms = config->queue_hide_limit};
	return queue_open(config->queue_type, &access, &services->queue, why);
}

bool
services_open(struct services *services, struct failure *why)
{
	const struct worker_config *config = services->config;
	if (!state_take(config->state_directory, &services->state, why)
	    || !loop_new(&services->loop, why))
		return false;
	services->http = http_client_new(services->loop);
	services->credentials = credentials_new(&config->store.aws, services->http);
	services_apply(services);
	return open_queue(services, why)
	       && outbox_open(config->state_directory, &services->outbox, why);
}

void
services_hang_up(struct services *services)
{
	queue_close(&services->queue);
	credentials_free(&services->credentials);
	http_client_free(&services->http);
}

void
services_close(struct services *services)
{
	outbox_close(&services->outbox);
	loop_free(&services->loop);
	close_fd(&services->state);
}
