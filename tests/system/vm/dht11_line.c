/* SPDX-License-Identifier: MIT */

/*
 * A DHT11 on a GPIO line, both in one module, for the kernel's own driver: that listens in hard
 * interrupts, which gpio-sim's lines cannot serve.
 *
 * Loaded, it makes a chip with one line and the platform device "dht11" that is wired to it. Asked
 * by 18 ms of low, it answers at true speed, with other values each time, and says in the kernel's
 * log what it has sent: "sent 2d00150042".
 *
 *     /sys/module/dht11_line/parameters/mode     0 whole numbers, 1 tenths too, 2 silent,
 *                                                3 a wrong sum, 4 breaks off, 5 44.1 % and
 *                                                20.0 degrees, which the driver misreads
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/gpio/driver.h>
#include <linux/gpio/machine.h>
#include <linux/hrtimer.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/string.h>

enum { WHOLE, TENTHS, SILENT, WRONG_SUM, BREAKS_OFF, MISREAD };
enum { BYTES = 5, EDGES = 3 + 2 * 8 * BYTES + 1, EDGES_BEFORE_BREAK = 30 };

#define SHORTEST_PULL_NS (18 * NSEC_PER_MSEC)

static int mode;
module_param(mode, int, 0644);

static int irq;
static bool is_high = true;
static ktime_t pulled_at;
static struct hrtimer edge_timer;
static unsigned int edge, edges, answers;
static u8 raw[BYTES];
static struct platform_device *sensor;

static unsigned int length_us(unsigned int n) {
    static const unsigned int before[] = { 30, 80, 80 };
    unsigned int bit = (n - ARRAY_SIZE(before)) / 2;

    if (n < ARRAY_SIZE(before))
        return before[n];
    if ((n - ARRAY_SIZE(before)) % 2 == 0)
        return 50;
    return raw[bit / 8] & 0x80 >> bit % 8 ? 70 : 26;
}

static enum hrtimer_restart on_edge(struct hrtimer *timer) {
    is_high = !is_high;
    if (irq_has_action(irq)) /* otherwise it would be kept for whoever listens next */
        generic_handle_irq(irq);
    if (++edge >= edges) {
        is_high = true;
        return HRTIMER_NORESTART;
    }
    hrtimer_set_expires(timer, ktime_add_us(hrtimer_get_expires(timer), length_us(edge)));
    return HRTIMER_RESTART;
}

static void answer(void) {
    static const u8 misread[] = { 44, 1, 20, 0 };
    unsigned int i = answers++;

    raw[0] = 20 + i * 7 % 71;
    raw[1] = mode == TENTHS ? 1 + i % 9 : 0;
    raw[2] = i * 3 % 51;
    raw[3] = mode == TENTHS ? i * 7 % 10 : 0;
    if (mode == MISREAD)
        memcpy(raw, misread, sizeof(misread));
    raw[4] = raw[0] + raw[1] + raw[2] + raw[3] + (mode == WRONG_SUM);
    edge = 0;
    edges = mode == BREAKS_OFF ? EDGES_BEFORE_BREAK : EDGES;
    pr_info("sent %*phN\n", BYTES, raw);
    hrtimer_start(&edge_timer, ktime_add_us(ktime_get(), length_us(0)), HRTIMER_MODE_ABS_HARD);
}

static int line_get(struct gpio_chip *chip, unsigned int offset) {
    return is_high;
}

static void line_set(struct gpio_chip *chip, unsigned int offset, int value) {
}

static int line_direction_output(struct gpio_chip *chip, unsigned int offset, int value) {
    is_high = value;
    pulled_at = ktime_get();
    return 0;
}

static int line_direction_input(struct gpio_chip *chip, unsigned int offset) {
    bool was_low = !is_high;

    is_high = true;
    if (was_low && mode != SILENT && ktime_sub(ktime_get(), pulled_at) >= SHORTEST_PULL_NS)
        answer();
    return 0;
}

static int line_to_irq(struct gpio_chip *chip, unsigned int offset) {
    return irq;
}

static struct gpio_chip chip = {
    .label = "dht11_line",
    .owner = THIS_MODULE,
    .base = -1,
    .ngpio = 1,
    .get = line_get,
    .set = line_set,
    .direction_output = line_direction_output,
    .direction_input = line_direction_input,
    .to_irq = line_to_irq,
};

static struct gpiod_lookup_table wire = {
    .dev_id = "dht11",
    .table = { GPIO_LOOKUP("dht11_line", 0, NULL, GPIO_ACTIVE_HIGH), {} },
};

/* It stays until the machine is switched off. */
static int __init dht11_line_init(void) {
    int r;

    hrtimer_init(&edge_timer, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_HARD);
    edge_timer.function = on_edge;
    irq = irq_alloc_desc(NUMA_NO_NODE);
    if (irq < 0)
        return irq;
    irq_set_chip_and_handler(irq, &dummy_irq_chip, handle_simple_irq);
    irq_modify_status(irq, IRQ_NOREQUEST | IRQ_NOAUTOEN, IRQ_NOPROBE);
    r = gpiochip_add_data(&chip, NULL);
    if (r)
        return r;
    gpiod_add_lookup_table(&wire);
    sensor = platform_device_register_simple("dht11", PLATFORM_DEVID_NONE, NULL, 0);
    return PTR_ERR_OR_ZERO(sensor);
}
module_init(dht11_line_init);

MODULE_DESCRIPTION("A simulated DHT11 on a simulated line");
MODULE_LICENSE("Dual MIT/GPL");
