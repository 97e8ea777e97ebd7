"""Plausible wrong answers to the exercises: (lesson, exercise) -> a function that its check must not let pass.

A further mistake in the same exercise has a name: (lesson, exercise, mistake).

Each makes a mistake that people make. test_notebooks puts it behind the solution and runs the same check on it.
"""

WRONG_ANSWERS = {
    ("00", 1): """
def rank_one(query_features, gallery_features, query_pids, gallery_pids):
    best = (query_features @ gallery_features.T).argmin(1)  # as if it were a distance
    return (gallery_pids[best] == query_pids).float().mean().item()
""",
    ("00", 2): """
def mix(x, rho, eps=1e-5):
    def normalized(dims):
        var, mean = torch.var_mean(x, dims, keepdim=True)  # divides by the count minus one
        return (x - mean) / (var + eps).sqrt()

    rho = rho.view(-1, 1, 1)
    return rho * normalized((0, 2, 3)) + (1 - rho) * normalized((2, 3))
""",
    ("00", 3): """
def less_red(images):
    images.images[:, 0] //= 2  # in the original
    return images
""",
    ("01", 1): """
def cmc(first_hit, K):
    return [(first_hit <= k).float().mean().item() for k in range(K)]  # from 0
""",
    ("01", 2): """
def mended_rank_one(query_features, gallery_features, query_pids, gallery_pids, query_camids, gallery_camids):
    scores = query_features @ gallery_features.T
    scores.masked_fill_(query_camids[:, None] == gallery_camids, -torch.inf)  # drops strangers, too
    return (gallery_pids[scores.argmax(dim=1)] == query_pids).double().mean().item()
""",
    ("01", 3): """
def wilson(found, people, z=1.959964):
    p = found / people
    half = z * (p * (1 - p) / people) ** 0.5  # the interval around the estimate
    return p - half, p + half
""",
    ("01", 4): """
def average_precisions(scores, query_pids, gallery_pids, query_camids, gallery_camids):
    same = query_pids[:, None] == gallery_pids
    dropped = same & (query_camids[:, None] == gallery_camids)
    order = scores.argsort(dim=1, descending=True)  # what is dropped keeps its rank
    right = (same & ~dropped).gather(1, order).double()
    precision = right.cumsum(1) / torch.arange(1, right.shape[1] + 1)
    return (precision * right).sum(1) / right.sum(1)
""",
    ("02", 1): """
def mean_and_spread(value, spread, mu, var, rho):
    return rho * (value - mu) / var**0.5, rho * spread / var**0.5  # as if nothing of IN's response were left
""",
    ("02", 2): """
def separation(y, people):
    who = torch.tensor(people)
    centres = torch.stack([y[who == person].mean(0) for person in (0, 1)])
    return (centres[0] - centres[1]).norm() / (y - y.mean(0)).norm(dim=1).mean()  # from everybody's centre
""",
    ("02", 2, "a mean per person"): """
def separation(y, people):
    who = torch.tensor(people)
    groups = [y[who == person] for person in (0, 1)]
    away = [(group - group.mean(0)).norm(dim=1).mean() for group in groups]  # a person with one picture counts as much
    return (groups[0].mean(0) - groups[1].mean(0)).norm() / (sum(away) / 2)
""",
    ("02", 3): """
def own_statistics(x):
    return x.mean((0, 2, 3)), x.var((0, 2, 3))  # the unbiased variance
""",
    ("03", 1): """
def rho_of(x, y, mean, std):
    slope, std_n = y.std(correction=0) / x.std(correction=0), x.std(correction=0)
    return (slope - 1 / std_n) / (1 / std - 1 / std_n)  # says nothing where std_n is std
""",
    ("03", 2): """
def mended_bin(x, rho, running_var):
    mean_n = x.mean((2, 3), keepdim=True)
    var_n = x.var((2, 3), correction=0, keepdim=True)
    mean = mean_n.mean(0)
    var = (var_n + (mean_n - mean).square()).mean(0)
    count = x.numel() / x.shape[1]
    running_var = 0.9 * running_var + 0.1 * var.flatten() * count / (count - 1)
    rho = rho.clamp(0, 1).view(-1, 1, 1)  # no gradient beyond the edge
    y = rho * (x - mean) / (var + 1e-5).sqrt() + (1 - rho) * (x - mean_n) / (var_n + 1e-5).sqrt()
    return y, running_var
""",
    ("03", 2, "a missing view"): """
def mended_bin(x, rho, running_var):
    mean_n = x.mean((2, 3), keepdim=True)
    var_n = x.var((2, 3), correction=0, keepdim=True)
    mean = mean_n.mean(0)
    var = (var_n + (mean_n - mean).square()).mean(0)
    count = x.numel() / x.shape[1]
    running_var = 0.9 * running_var + 0.1 * var.flatten() * count / (count - 1)
    rho = rho + (rho.clamp(0, 1) - rho).detach()  # (C,), which would be taken for columns if there were C of them
    y = rho * (x - mean) / (var + 1e-5).sqrt() + (1 - rho) * (x - mean_n) / (var_n + 1e-5).sqrt()
    return y, running_var
""",
    ("03", 3): """
def gradient_from_sums(sums, dots, means, variances, gamma_B, beta_B, gamma_I, beta_I, eps=1e-5):
    mean, var = means.mean(0), variances.mean(0)  # without what varies between the images
    total_B = ((dots + (means - mean) * sums) / (var + eps).sqrt()).sum(0)
    total_I = (dots / (variances + eps).sqrt()).sum(0)
    return gamma_B * total_B - gamma_I * total_I + (beta_B - beta_I) * sums.sum(0)
""",
    ("04", 1): """
def lowest_loss(M, eps):
    return -math.log(1 - eps + eps / M)  # the right person's part alone
""",
    ("04", 2): """
def mended_shuffle(features, pids, domains):
    squared = (features[:, None] - features[None, :]).square().sum(-1)
    distances = squared.clamp(min=1e-30).sqrt()
    other_id = pids[:, None] != pids[None, :]
    same_domain = domains[:, None] == domains[None, :]
    inter_negative = distances.masked_fill(~(other_id & ~same_domain), 0).amax(1)
    intra_negative = distances.masked_fill(~(other_id & same_domain), 1e9).amin(1)
    return F.softplus(inter_negative - intra_negative).mean()  # over anchors that lack one, too
""",
    ("04", 3): """
def missing_share(sizes, p):
    everyone = sum(sizes)
    return sum(math.comb(everyone - size, p) for size in sizes) / math.comb(everyone, p)  # nothing excluded
""",
    ("04", 4): """
def scatter_gradient(x):
    middle, unit = F.normalize(x.mean(0), dim=0), F.normalize(x, dim=1)
    cosine = (unit * middle).sum(1, keepdim=True)
    return (middle - cosine * unit) / x.norm(dim=1, keepdim=True) / len(x)  # as if the centroid stood still
""",
    ("05", 1): """
def toy_by_hand(rho, a, s, b, t, beta, gamma, order):
    virtual = rho - beta * a * (rho - s)
    slope = b * (virtual - t) * (1 if order == 1 else 1 - beta * a)
    return min(max(virtual - gamma * slope, 0.0), 1.0)  # goes on from where the push ended
""",
    ("05", 2): """
def mended_step(extractor, meta_train, meta_test, inner_lr, outer_lr, order):
    rho = balancing_parameters(extractor)
    with frozen_running_stats(extractor):
        loss, _ = META_TRAIN(extractor(meta_train.images), None, meta_train)
    slopes = torch.autograd.grad(loss, list(rho.values()), create_graph=order == 2)
    moved = {name: r - inner_lr * g.detach() for (name, r), g in zip(rho.items(), slopes, strict=True)}  # order 1
    with frozen_running_stats(extractor):
        loss, _ = META_TEST(functional_call(extractor, moved, meta_test.images), None, meta_test)
    slopes = torch.autograd.grad(loss, list(rho.values()))
    with torch.no_grad():
        for r, g in zip(rho.values(), slopes, strict=True):
            r.sub_(outer_lr * g).clamp_(0, 1)
""",
    ("05", 2, "no clamp after the outer step"): """
def mended_step(extractor, meta_train, meta_test, inner_lr, outer_lr, order):
    rho = balancing_parameters(extractor)
    with frozen_running_stats(extractor):
        loss, _ = META_TRAIN(extractor(meta_train.images), None, meta_train)
    slopes = torch.autograd.grad(loss, list(rho.values()), create_graph=order == 2)
    moved = {name: r - inner_lr * g for (name, r), g in zip(rho.items(), slopes, strict=True)}
    with frozen_running_stats(extractor):
        loss, _ = META_TEST(functional_call(extractor, moved, meta_test.images), None, meta_test)
    slopes = torch.autograd.grad(loss, list(rho.values()))
    with torch.no_grad():
        for r, g in zip(rho.values(), slopes, strict=True):
            r.sub_(outer_lr * g)  # may leave [0, 1]
""",
    ("05", 3): """
def my_meta_step(toy, L_mtr, L_mte, inner_lr, outer_lr, order):
    (slope,) = torch.autograd.grad(L_mtr(toy()), toy.rho, create_graph=order == 2)
    virtual = toy.rho - inner_lr * slope
    (slope,) = torch.autograd.grad(L_mte(functional_call(toy, {"rho": virtual})), toy.rho)
    with torch.no_grad():
        toy.rho.sub_(outer_lr * slope)  # no clamp
""",
    ("06", 1): """
def swings(iterations, cycle):
    length = int(iterations * cycle)  # 100 * 0.29 is a little less than 29
    return length, iterations // length
""",
    ("06", 2): """
def mended_step(toy, meta_train, meta_test, inner_lr, outer_lr):
    moved, _ = metabin.inner_step(toy, {"rho": toy.rho}, meta_train, inner_lr)
    with torch.no_grad():
        toy.rho.copy_(moved["rho"])
    (gradient,) = torch.autograd.grad(metabin.triplet_loss(toy(meta_test.images), meta_test.pids), toy.rho)
    with torch.no_grad():
        toy.rho.sub_(outer_lr * gradient).clamp_(0, 1)  # no momentum, but still from rho'
""",
    ("06", 3): """
def detective(model, optimizer):
    held = {id(p) for p in optimizer.param_groups[0]["params"]}  # the first group alone
    return sorted(name for name, rho in metabin.balancing_parameters(model).items() if id(rho) in held)
""",
    ("06", 4): """
def mended_gradient(rho, x, scale=1024):
    half = rho.half().requires_grad_()
    loss = (half * x.half()).square().mean() * scale
    return (torch.autograd.grad(loss, half)[0] / scale).float()  # lost again before it is in 32 bits
""",
    ("06", 4, "plain 32 bits"): """
def mended_gradient(rho, x):
    rho = rho.clone().requires_grad_()
    return torch.autograd.grad((rho * x).square().mean(), rho)[0]  # nothing is lost, and nothing was saved
""",
    ("07", 1): """
def ratio_of(q, own, others):
    return ((1 - own @ q).mean() / (1 - others @ q).mean()).item()  # lengths are not 1
""",
    ("07", 2): """
def trust(space, plane, k):
    n = len(space)
    ranks = torch.cdist(space, space).argsort(1).argsort(1)
    near = torch.cdist(plane, plane).argsort(1)[:, :k]  # a point is its own nearest
    cost = (ranks.gather(1, near) - k).clamp(min=0).sum().item()
    return 1 - 2 / (n * k * (2 * n - 3 * k - 1)) * cost
""",
    ("07", 3): """
def mended_distance(features, streets):
    unit = F.normalize(features.double())
    away = 1 - unit @ unit.T
    same = streets.pids[:, None] == streets.pids  # oneself and the own camera are among them
    stranger = ~same & (streets.domains[:, None] == streets.domains)
    return ((away * same).sum(1) / same.sum(1) / ((away * stranger).sum(1) / stranger.sum(1))).mean()
""",
    ("07", 3, "strangers from all streets"): """
def mended_distance(features, streets):
    unit = F.normalize(features.double())
    query = streets.camids == 0
    away = 1 - unit[query] @ unit[~query].T
    same = streets.pids[query, None] == streets.pids[~query]
    stranger = ~same  # on other streets, too, where a query is not looked for
    return ((away * same).sum(1) / same.sum(1) / ((away * stranger).sum(1) / stranger.sum(1))).mean()
""",
    ("07", 4): """
def mended_neighbours(query, gallery):
    return torch.cdist(query, gallery).argmin(1)  # the nearest in space, not in the picture
""",
    ("08", 1): """
def inner_move(rho, gradient, beta):
    return (rho - beta * gradient).clamp(0, 1), gradient.sign()  # what stays at an end hasn't moved
""",
    ("08", 2): """
def turning_offset(camera):
    offset = 0.0
    while style_slope(camera, offset) > 0:
        offset += 0.1  # too coarse
    return offset
""",
    ("08", 3): """
def mended_figure(extractor, batch):
    rho = list(balancing_parameters(extractor).values())
    with frozen_running_stats(extractor):
        features = extractor(batch.images)
    member = (batch.domains[:, None] == batch.domains).to(features.dtype)
    centroids = (member @ features / member.sum(1, keepdim=True)).detach()  # as if it stood still
    losses = {
        "scatter": F.cosine_similarity(features, centroids, dim=1).mean(),
        "shuffle": shuffle_loss(features, batch.pids, batch.domains),
        "triplet": triplet_loss(features, batch.pids),
    }
    gradients = {part: torch.cat(torch.autograd.grad(x, rho, retain_graph=True)) for part, x in losses.items()}
    return {part: ((g > 0).float().mean(), g.mean()) for part, g in gradients.items()}
""",
    ("09", 1): """
def bars(layers, bins):
    rows = []
    for rho in layers:
        parts = [int(value * bins) for value in rho.tolist()]
        rows.append([parts.count(part) / len(rho) for part in range(bins)])  # rho = 1 falls out
    return rows
""",
    ("09", 2): """
def mended_bars(model, score):
    found = {}
    model.train()  # everything is put back but this
    for name, rho in metabin.balancing_parameters(model.extractor).items():
        before = rho.detach().clone()
        rho.data.fill_(0.0)
        found[name] = score(model)
        rho.data.copy_(before)
    return found
""",
    ("09", 2, "rho put back to 1"): """
def mended_bars(model, score):
    found = {}
    for name, rho in metabin.balancing_parameters(model.extractor).items():
        rho.data.fill_(0.0)
        found[name] = score(model)
        rho.data.fill_(1.0)  # where a training begins, not where this patient was
    return found
""",
    ("09", 3): """
def style_and_identity_shares(values, pids):
    everything = [x for row in values for x in row]
    pictures = [mean([row[p] for row in values]) for p in range(len(pids))]
    people = [mean([pictures[q] for q in range(len(pids)) if pids[q] == pid]) for pid in set(pids)]  # each person once
    return variance([mean(row) for row in values]) / variance(everything), variance(people) / variance(everything)
""",
    ("10", 1): """
def half_widths(a, b):
    n = len(a)
    paired = stdev(x - y for x, y in zip(a, b, strict=True)) / n**0.5
    unpaired = (stdev(a) ** 2 / n + stdev(b) ** 2 / n) ** 0.5
    return quantile(n) * paired, quantile(2 * n) * unpaired  # degrees of freedom: one and two too many
""",
    ("10", 2): """
def mended_test(new, old, validation):
    best = new.mean(2).argmax(1)  # chosen on the target
    return paired_interval(new[range(len(new)), best].mean(1) - old.mean(1))
""",
    ("10", 3): """
def worlds_for(spread, difference, power):
    n = 2
    while quantile(n - 1) * spread / n**0.5 > difference:  # seen every other time only
        n += 1
    return n
""",
    ("11", 1): """
def people_needed(rate, points):
    return int(rate * (1 - rate) * (1.959964 / points) ** 2)  # rounded down
""",
    ("11", 2): """
def possible_map(rank1, rank5, rank10, ap):
    shares = (rank1, rank5 - rank1, rank10 - rank5)  # whoever is beyond rank 10 was forgotten
    lowest = sum(share * ap(last) for share, (_, last) in zip(shares, BINS[:3], strict=True))
    highest = sum(share * ap(first) for share, (first, _) in zip(shares, BINS[:3], strict=True))
    return lowest, highest
""",
    ("11", 2, "always by the step"): """
def possible_map(rank1, rank5, rank10, ap):
    shares = (rank1, rank5 - rank1, rank10 - rank5, 1 - rank10)
    lowest = sum(share / last for share, (_, last) in zip(shares, BINS, strict=True))
    return lowest, sum(share / first for share, (first, _) in zip(shares, BINS, strict=True))
""",
    ("11", 3): """
def mended_rank1(f, pids, camids, rows):
    scores = f[rows] @ f.T
    person = pids[rows][:, None] == pids
    best = scores.masked_fill(person & (camids[rows][:, None] == camids), -2).argmax(dim=1)
    return (pids[best] == pids[rows]).double().mean().item()  # who can't be answered counts as wrong
""",
    ("11", 3, "drops the camera's strangers, too"): """
def mended_rank1(f, pids, camids, rows):
    scores = f[rows] @ f.T
    dropped = camids[rows][:, None] == camids
    answerable = ((pids[rows][:, None] == pids) & ~dropped).any(dim=1)
    best = scores.masked_fill(dropped, -2).argmax(dim=1)
    return (pids[best] == pids[rows])[answerable].double().mean().item()
""",
}
