/*
 * What workers tell, as the existing dashboard has it: JSON in (typed as a form by existing
 * workers), text/html out whatever the answer is, because existing workers parse by that type.
 */
#ifndef DASHBOARD_CONTRACT_H
#define DASHBOARD_CONTRACT_H

#include "site.h"

handler contract_register;   /* {"hostname":"vm"} -> {"worker_id":1} */
handler contract_heartbeat;  /* {"job_id":1} or {"job_id":null} -> OK */
handler contract_unregister; /* nothing -> nothing */
handler contract_start;      /* nothing, or {"attempt":1,"worker":"vm"} -> OK */
handler contract_finish;     /* the report -> OK */

#endif
