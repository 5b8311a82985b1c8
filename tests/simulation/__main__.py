import sys, time, collections
from tests.simulation.plan import plan_of
from tests.simulation.world import simulate
a, b = int(sys.argv[1]), int(sys.argv[2])
t=time.perf_counter(); kinds=collections.Counter(); hap=collections.Counter()
for seed in range(a, b):
    o = simulate(plan_of(seed), tells_story=len(sys.argv)>3)
    hap+=o.happened
    for l in o.story: print(l)
    if o.broken:
        kinds[o.broken.guarantee]+=1
        print(seed, str(o.broken)[:600])
print((b-a)/(time.perf_counter()-t), "seeds/s", kinds, hap)
