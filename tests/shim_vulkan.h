// Stands between the Vulkan backend and a real driver: every function that the backend calls goes through here, so that any call
// can be made to fail, and what was created and not destroyed is known. A function that the backend calls and this file does not
// list ends the program with its name.
#ifndef RP_TESTS_SHIM_VULKAN_H
#define RP_TESTS_SHIM_VULKAN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../backend_vulkan/vulkan.h"

typedef struct shim_driver {
    int fail_at, countdown;    // the call that fails, counted over those that can; 0: none
    VkResult fail_with;        // VK_ERROR_DEVICE_LOST stays: so do all later submissions and waits, until the device is destroyed
    bool only_work;            // count submissions and waits alone
    const char *failed;        // the function that did
    bool lost;
    int alive;                 // objects created and not destroyed
} shim_driver;
extern shim_driver shim;

// Takes the place of the loader's functions. Once, after the backend has opened the loader.
void shim_install(void);
void shim_reset(void);

#endif
